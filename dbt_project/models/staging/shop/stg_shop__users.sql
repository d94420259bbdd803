select
    user_id,
    created_at,
    received_date,
    known_date
from {{ source('shop', 'users') }}
