select
    decision_id,
    user_id,
    decided_at,
    event_date,
    known_date,
    surface,
    version,
    source,
    made_from,
    fallback,
    num_items,
    is_short,
    rules_applied,
    rules_dropped
from {{ source('shop', 'decisions') }}
