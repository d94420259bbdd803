select
    user_id,
    purpose,
    is_granted,
    said_at,
    received_date,
    known_date
from {{ source('shop', 'consents') }}
