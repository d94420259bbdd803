{{ config(materialized='incremental') }}

select
    user_id,
    event_date,
    known_date,
    cast(count(*) as bigint) as events,
    {% for quarter in ['night', 'morning', 'afternoon', 'evening'] %}
        cast(count(*) filter (where floor(extract(hour from occurred_at) / 6) = {{ loop.index0 }}) as bigint)
            as {{ quarter }}_events,
    {% endfor %}
    cast(sum(greatest(weight, 0)) as bigint) as positive_weight,
    cast(count(*) filter (where event_type = 'view') as bigint) as views,
    cast(count(*) filter (where event_type = 'cart') as bigint) as carts,
    cast(count(*) filter (where event_type = 'purchase') as bigint) as purchases,
    cast(count(*) filter (where event_type = 'return') as bigint) as returns,
    cast(count(dwell_ms) as bigint) as dwells,
    cast(coalesce(sum(dwell_ms), 0) as bigint) as dwell_ms,
    cast(coalesce(sum(revenue_cents), 0) as bigint) as spend_cents,
    cast(coalesce(sum(revenue_cents) filter (where event_type = 'purchase'), 0) as bigint) as paid_cents,
    cast(
        coalesce(sum(coalesce(quantity, 1)) filter (where event_type = 'purchase' and revenue_cents is not null), 0)
        as bigint
    ) as paid_quantity
from {{ ref('int_events_weighted') }}
where user_id is not null
group by user_id, event_date, known_date
