with

totalled as (

    select
        user_id,
        category,
        feature_date,
        weight_micros,
        sum(weight_micros) over (partition by user_id, feature_date) as total_micros
    from {{ ref('int_user_categories_windowed') }}

)

select
    user_id,
    category,
    feature_date,
    coalesce({{ share_micros('weight_micros', 'total_micros') }}, 0) as affinity_micros
from totalled
