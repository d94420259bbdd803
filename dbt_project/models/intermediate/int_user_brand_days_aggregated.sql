{{ config(materialized='incremental') }}

select
    user_id,
    brand,
    event_date,
    known_date,
    cast(sum(greatest(weight, 0)) as bigint) as positive_weight
from {{ ref('int_events_weighted') }}
where user_id is not null and brand is not null
group by user_id, brand, event_date, known_date
