{{ config(materialized='incremental') }}

select
    user_id,
    category,
    event_date,
    known_date,
    cast(sum(greatest(weight, 0)) as bigint) as positive_weight,
    cast(count(price_cents) as bigint) as priced_events,
    cast(coalesce(sum(price_cents), 0) as bigint) as priced_cents
from {{ ref('int_events_weighted') }}
where user_id is not null and category is not null
group by user_id, category, event_date, known_date
