{{ config(materialized='incremental') }}

select
    item_id,
    event_date,
    item_known_date as known_date,
    cast(sum(weight) as bigint) as weight,
    cast(sum(greatest(weight, 0)) as bigint) as positive_weight,
    cast(count(*) filter (where event_type = 'view') as bigint) as views,
    cast(count(*) filter (where event_type = 'cart') as bigint) as carts,
    cast(count(*) filter (where event_type = 'purchase') as bigint) as purchases,
    cast(count(*) filter (where event_type = 'return') as bigint) as returns,
    cast(count(rating_micros) as bigint) as ratings,
    cast(coalesce(sum(rating_micros), 0) as bigint) as rating_micros
from {{ ref('int_events_weighted') }}
group by item_id, event_date, item_known_date
