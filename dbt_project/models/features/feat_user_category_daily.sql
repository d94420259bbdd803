with

windows as (

    select * from {{ ref('int_days_windowed') }}
    where age_days < 90

),

decayed as (

    select
        days.user_id,
        days.category,
        windows.feature_date,
        sum(days.positive_weight * windows.decay_micros) as weight_micros
    from windows
    inner join {{ ref('int_user_category_days_aggregated') }} as days
        on windows.event_date = days.event_date and windows.feature_date >= days.known_date
    group by days.user_id, days.category, windows.feature_date

),

totalled as (

    select
        *,
        sum(weight_micros) over (partition by user_id, feature_date) as total_micros
    from decayed

)

select
    user_id,
    category,
    feature_date,
    coalesce({{ share_micros('weight_micros', 'total_micros') }}, 0) as affinity_micros
from totalled
