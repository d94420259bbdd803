select
    alias_id,
    user_id,
    linked_at,
    received_date,
    known_date
from {{ source('shop', 'identities') }}
