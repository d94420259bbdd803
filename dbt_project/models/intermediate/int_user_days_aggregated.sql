{{ config(materialized='incremental') }}

select
    user_id,
    event_date,
    known_date,
    cast(count(*) filter (where event_type = 'view') as bigint) as views,
    cast(count(*) filter (where event_type = 'purchase') as bigint) as purchases,
    cast(coalesce(sum(revenue_cents), 0) as bigint) as spend_cents,
    cast(coalesce(sum(revenue_cents) filter (where event_type = 'purchase'), 0) as bigint) as paid_cents,
    cast(
        coalesce(sum(coalesce(quantity, 1)) filter (where event_type = 'purchase' and revenue_cents is not null), 0)
        as bigint
    ) as paid_quantity
from {{ ref('int_events_weighted') }}
where user_id is not null
group by user_id, event_date, known_date
