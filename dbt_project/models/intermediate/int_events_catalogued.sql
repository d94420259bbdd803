with

events as (

    select *
    from {{ ref('int_events_attributed') }}
    where event_date in (select days.event_date from {{ ref('stg_engine__event_days') }} as days)

),

items as (

    select * from {{ ref('int_items_versioned') }}

)

select
    events.event_id,
    events.user_id,
    events.item_id,
    items.category,
    items.brand,
    items.price_cents as list_price_cents,
    events.event_type,
    events.occurred_at,
    events.event_date,
    -- Nobody could know what an item was before its shop had said so.
    greatest(events.known_date, items.valid_from) as known_date,
    greatest(events.item_known_date, items.valid_from) as item_known_date,
    events.session_id,
    events.quantity,
    events.unit_price_cents,
    events.value,
    events.dwell_ms,
    events.scroll_depth,
    events.surface,
    events.position,
    events.decision_id,
    events.propensity
from events
inner join items
    on
        events.item_id = items.item_id
        and events.item_known_date >= items.describes_from
        and events.item_known_date < items.valid_until
