-- The newest day that is being built, item by item beside the newest delivery that the day knows: a catalogue of
-- yesterday has leaked into today. A shop that delivers no items has none to compare.
{{ config(tags=['marts']) }}

with

newest as (

    select max(feature_date) as feature_date
    from {{ ref('stg_engine__feature_days') }}

),

deliveries as (

    select
        items.*,
        row_number() over (partition by items.item_id order by items.received_date desc) as newness
    from {{ ref('stg_shop__items') }} as items
    inner join newest on items.known_date <= newest.feature_date

),

catalogue as (

    select items.*
    from {{ ref('dim_items') }} as items
    inner join newest on items.feature_date = newest.feature_date

)

select
    deliveries.item_id,
    catalogue.title,
    catalogue.category,
    catalogue.brand,
    catalogue.price_cents,
    features.price_cents as feature_price_cents
from deliveries
left join catalogue on deliveries.item_id = catalogue.item_id
left join {{ ref('feat_item_daily') }} as features
    on catalogue.item_id = features.item_id and catalogue.feature_date = features.feature_date
where
    deliveries.newness = 1
    and (
        catalogue.item_id is null
        or catalogue.title is distinct from deliveries.title
        or catalogue.category is distinct from deliveries.category
        or catalogue.brand is distinct from deliveries.brand
        or catalogue.price_cents is distinct from deliveries.price_cents
        or features.price_cents is distinct from deliveries.price_cents
    )
