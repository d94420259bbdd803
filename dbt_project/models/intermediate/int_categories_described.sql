{{ config(materialized='table') }}

with

versions as (

    select
        days.feature_date,
        items.category,
        items.valid_from,
        days.feature_date < items.valid_until as is_valid,
        case when days.feature_date < items.valid_until then items.price_cents end as valid_price_cents
    from {{ ref('stg_engine__feature_days') }} as days
    inner join {{ ref('int_items_versioned') }} as items on days.feature_date >= items.valid_from
    where items.category is not null

)

select
    category,
    feature_date,
    min(valid_from) as first_known_date,
    cast(count(*) filter (where is_valid) as bigint) as items,
    {{ divide_down('sum(valid_price_cents)', 'count(valid_price_cents)') }} as mean_price_cents
from versions
group by category, feature_date
