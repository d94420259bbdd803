{{ config(materialized='table') }}

with

sessions as (

    select
        days.user_id,
        days.session_id,
        windows.feature_date,
        min(days.first_second) as first_second,
        max(days.last_second) as last_second
    from {{ ref('int_days_windowed') }} as windows
    inner join {{ ref('int_user_session_days_aggregated') }} as days
        on windows.event_date = days.event_date and windows.feature_date >= days.known_date
    where windows.age_days < 28
    group by days.user_id, days.session_id, windows.feature_date

)

select
    user_id,
    feature_date,
    cast(count(*) as bigint) as sessions,
    cast(sum(last_second - first_second) as bigint) as seconds,
    -- From the beginning of the first to that of the last lie as many gaps as sessions, less one.
    cast(max(first_second) - min(first_second) as bigint) as seconds_between
from sessions
group by user_id, feature_date
