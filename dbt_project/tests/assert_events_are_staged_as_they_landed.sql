-- The newest day that is being built, event by event beside what landed: an instant or a day that was moved to another
-- time zone loses events to the days around it, or takes theirs.
{{ config(tags=['staging']) }}

with

newest as (

    select max(event_date) as event_date
    from {{ ref('stg_engine__event_days') }}

),

staged as (

    select events.*
    from {{ ref('stg_shop__events') }} as events
    inner join newest on events.event_date = newest.event_date

),

landed as (

    select events.*
    from {{ source('shop', 'events') }} as events
    inner join newest on events.event_date = newest.event_date

)

select
    landed.event_id as landed_event_id,
    landed.occurred_at as landed_at,
    staged.event_id,
    staged.occurred_at,
    staged.event_date,
    staged.known_date
from landed
full outer join staged on landed.event_id = staged.event_id
where
    landed.event_id is null
    or staged.event_id is null
    or staged.occurred_at <> landed.occurred_at
    or staged.event_date <> cast(staged.occurred_at as date)
    or staged.known_date <> landed.known_date
