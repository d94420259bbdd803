select
    event_id,
    user_id,
    item_id,
    event_type,
    occurred_at,
    event_date,
    known_date,
    session_id,
    weight,
    quantity,
    revenue_cents
from {{ ref('int_events_weighted') }}
where user_id is not null
