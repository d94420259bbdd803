with

events as (

    select
        *,
        case
            when event_type = 'view' and (dwell_ms >= 30000 or scroll_depth >= 0.5) then 'engaged_view'
            when event_type = 'rating' then 'rating_star'
            else event_type
        end as signal,
        -- Five stars and one are as far as a rating goes, whatever scale a shop uses.
        case
            when event_type = 'rating'
                then greatest(-2, least(2, round(cast(coalesce(value, 3) - 3 as decimal(18, 6)))))
            else 1
        end as times
    from {{ ref('int_events_sessionized') }}

),

weights as (

    select * from {{ ref('event_weights') }}

)

select
    events.event_id,
    events.user_id,
    events.item_id,
    events.category,
    events.brand,
    events.event_type,
    events.occurred_at,
    events.event_date,
    events.known_date,
    events.item_known_date,
    events.session_id,
    cast(weights.weight * events.times as integer) as weight,
    events.quantity,
    events.unit_price_cents,
    events.dwell_ms,
    -- What a person looked at, put into the cart or bought has a price even where only the catalogue tells it.
    case
        when events.event_type in ('view', 'cart', 'purchase')
            then coalesce(events.unit_price_cents, events.list_price_cents)
    end as price_cents,
    case
        when events.event_type = 'rating' and events.value is not null
            then cast(round(cast(greatest(1, least(5, events.value)) as decimal(18, 6)) * 1000000) as bigint)
    end as rating_micros,
    case events.event_type
        when 'purchase' then coalesce(events.quantity, 1) * events.unit_price_cents
        when 'return' then -abs(coalesce(events.quantity, 1) * events.unit_price_cents)
        else 0
    end as revenue_cents
from events
inner join weights on events.signal = weights.signal
