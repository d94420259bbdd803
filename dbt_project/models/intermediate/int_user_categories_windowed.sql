{{ config(materialized='table') }}

select
    days.user_id,
    days.category,
    windows.feature_date,
    min(windows.age_days) as last_age_days,
    cast(sum(days.positive_weight * windows.decay_micros) as bigint) as weight_micros,
    cast(sum(days.priced_events) as bigint) as priced_events,
    cast(sum(days.priced_cents) as bigint) as priced_cents
from {{ ref('int_days_windowed') }} as windows
inner join {{ ref('int_user_category_days_aggregated') }} as days
    on windows.event_date = days.event_date and windows.feature_date >= days.known_date
where windows.age_days < 90
group by days.user_id, days.category, windows.feature_date
