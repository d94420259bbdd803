{{ config(unique_key='feature_date') }}

select
    items.item_id,
    days.feature_date,
    items.title,
    items.category,
    items.brand,
    items.price_cents,
    items.available_from,
    items.available_until,
    items.attributes,
    -- The instant at which the day ends; an item is for sale from its first instant up to, not at, its last.
    coalesce(items.available_from <= cast(days.feature_date + 1 as timestamp), true)
    and coalesce(items.available_until > cast(days.feature_date + 1 as timestamp), true) as is_available
from {{ ref('stg_engine__feature_days') }} as days
inner join {{ ref('int_items_versioned') }} as items
    on
        days.feature_date >= items.valid_from
        and days.feature_date < items.valid_until
