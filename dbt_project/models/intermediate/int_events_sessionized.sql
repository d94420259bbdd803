{{ config(materialized='table') }}

with

events as (

    select * from {{ ref('int_events_catalogued') }}

),

-- What people did where the shop names no session
unnamed as (

    select
        event_id,
        user_id,
        event_date,
        occurred_at,
        known_date
    from events
    where user_id is not null and session_id is null

),

later_days as (

    select distinct
        user_id,
        event_date,
        known_date
    from unnamed
    where known_date > event_date

),

-- Each event among those that were known by the time that it was: what comes late joins a session, and renames none.
seen as (

    select
        *,
        known_date as seen_date
    from unnamed
    union all
    select
        unnamed.*,
        later_days.known_date as seen_date
    from unnamed
    inner join later_days
        on
            unnamed.user_id = later_days.user_id
            and unnamed.event_date = later_days.event_date
            and unnamed.known_date < later_days.known_date

),

spaced as (

    select
        *,
        lag(occurred_at) over (
            partition by user_id, event_date, seen_date order by occurred_at, {{ bytewise('event_id') }}
        ) as occurred_before
    from seen

),

begun as (

    select
        *,
        count(*) filter (
            where
            occurred_before is null
            or occurred_at > occurred_before + interval '{{ run_setting("session_gap_minutes") | int }} minutes'
        ) over (
            partition by user_id, event_date, seen_date order by occurred_at, {{ bytewise('event_id') }}
            rows between unbounded preceding and current row
        ) as session_number
    from spaced

),

named as (

    select
        *,
        first_value(event_id) over (
            partition by user_id, event_date, seen_date, session_number order by occurred_at, {{ bytewise('event_id') }}
        ) as first_event_id
    from begun

)

select
    events.event_id,
    events.user_id,
    events.item_id,
    events.category,
    events.brand,
    events.list_price_cents,
    events.event_type,
    events.occurred_at,
    events.event_date,
    events.known_date,
    events.item_known_date,
    coalesce(events.session_id, 'from ' || named.first_event_id) as session_id,
    events.quantity,
    events.unit_price_cents,
    events.value,
    events.dwell_ms,
    events.scroll_depth,
    events.surface,
    events.position,
    events.decision_id,
    events.propensity
from events
left join named on events.event_id = named.event_id and events.known_date = named.seen_date
