select
    event_id,
    user_id,
    item_id,
    event_type,
    occurred_at,
    event_date,
    known_date,
    session_id,
    quantity,
    unit_price_cents,
    value,
    dwell_ms,
    scroll_depth,
    surface,
    position,
    decision_id
from {{ source('shop', 'events') }}
