{{ config(materialized='table') }}

with

deliveries as (

    select
        *,
        row_number() over (partition by item_id, known_date order by received_date desc) as newness
    from {{ ref('stg_shop__items') }}

),

in_order as (

    select
        *,
        max(received_date) over (
            partition by item_id order by known_date
            rows between unbounded preceding and 1 preceding
        ) as newest_received_before
    from deliveries
    where newness = 1

),

-- A delivery that comes late must not undo a newer one that is already known.
compared as (

    select
        *,
        lag(known_date) over (partition by item_id order by known_date) as known_before,
        lag(title) over (partition by item_id order by known_date) as title_before,
        lag(category) over (partition by item_id order by known_date) as category_before,
        lag(brand) over (partition by item_id order by known_date) as brand_before,
        lag(price_cents) over (partition by item_id order by known_date) as price_before,
        lag(available_from) over (partition by item_id order by known_date) as available_from_before,
        lag(available_until) over (partition by item_id order by known_date) as available_until_before,
        lag(attributes) over (partition by item_id order by known_date) as attributes_before
    from in_order
    where newest_received_before is null or newest_received_before < received_date

),

delivered as (

    select
        item_id,
        known_date,
        title,
        category,
        brand,
        price_cents,
        available_from,
        available_until,
        attributes,
        cast('9999-12-31' as date) as superseded_date
    from compared
    where
        known_before is null
        or title is distinct from title_before
        or category is distinct from category_before
        or brand is distinct from brand_before
        or price_cents is distinct from price_before
        or available_from is distinct from available_from_before
        or available_until is distinct from available_until_before
        or attributes is distinct from attributes_before

),

catalogue as (

    select coalesce(min(known_date), cast('9999-12-31' as date)) as first_known_date
    from {{ ref('stg_shop__items') }}

),

-- Before a shop has delivered its first catalogue, and if it never does, the catalogue is what people acted on: those
-- who consent, and nobody in particular.
seen as (

    select
        events.item_id,
        min(events.item_known_date) as known_date,
        events.item_id as title,
        cast(null as text) as category,
        cast(null as text) as brand,
        cast(null as bigint) as price_cents,
        cast(null as timestamp) as available_from,
        cast(null as timestamp) as available_until,
        cast(null as text) as attributes,
        catalogue.first_known_date as superseded_date
    from {{ ref('int_events_attributed') }} as events
    inner join catalogue
        on
            events.item_known_date < catalogue.first_known_date
            -- No event is known more than minutes before its day; by this a warehouse need not read all events.
            and events.event_date <= catalogue.first_known_date
    group by events.item_id, catalogue.first_known_date

),

versions as (

    select * from delivered
    union all
    select * from seen

),

closed as (

    select
        *,
        min(known_date) over (partition by item_id) as first_known_date,
        least(
            superseded_date,
            coalesce(
                lead(known_date) over (partition by item_id order by known_date),
                cast('9999-12-31' as date)
            )
        ) as valid_until
    from versions

)

select
    item_id,
    known_date as valid_from,
    valid_until,
    coalesce(
        lag(valid_until) over (partition by item_id order by known_date),
        cast('0001-01-01' as date)
    ) as describes_from,
    first_known_date,
    title,
    category,
    brand,
    price_cents,
    available_from,
    available_until,
    attributes
from closed
