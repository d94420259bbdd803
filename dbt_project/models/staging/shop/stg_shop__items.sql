select
    item_id,
    coalesce(title, item_id) as title,
    category,
    brand,
    price_cents,
    available_from,
    available_until,
    attributes,
    received_date,
    known_date
from {{ source('shop', 'items') }}
