{{ config(materialized='incremental') }}

select
    user_id,
    session_id,
    event_date,
    known_date,
    {{ epoch_seconds('min(occurred_at)') }} as first_second,
    {{ epoch_seconds('max(occurred_at)') }} as last_second
from {{ ref('int_events_weighted') }}
where user_id is not null and session_id is not null
group by user_id, session_id, event_date, known_date
