-- The newest day that is being built, event by event: no interaction without its event, none known before it, and no
-- default that stands for another value. One piece was bought where the shop counts none; a rating without stars says
-- nothing.
{{ config(tags=['marts']) }}

with

newest as (

    select max(event_date) as event_date
    from {{ ref('stg_engine__event_days') }}

),

interactions as (

    select facts.*
    from {{ ref('fct_interactions') }} as facts
    inner join newest on facts.event_date = newest.event_date

),

events as (

    select
        *,
        case event_type
            when 'purchase' then coalesce(quantity, 1) * unit_price_cents
            when 'return' then -abs(coalesce(quantity, 1) * unit_price_cents)
            else 0
        end as revenue_cents
    from {{ ref('stg_shop__events') }}

)

select
    interactions.event_id,
    interactions.known_date,
    interactions.weight,
    interactions.revenue_cents,
    events.revenue_cents as revenue_cents_of_event
from interactions
left join events on interactions.event_id = events.event_id and interactions.event_date = events.event_date
where
    events.event_id is null
    or interactions.occurred_at <> events.occurred_at
    or interactions.event_type <> events.event_type
    or interactions.known_date < events.known_date
    or interactions.revenue_cents is distinct from events.revenue_cents
    or (events.event_type = 'rating' and events.value is null and interactions.weight <> 0)
