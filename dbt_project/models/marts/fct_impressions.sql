with

events as (

    select *
    from {{ ref('int_events_sessionized') }}
    where user_id is not null

),

impressions as (

    select * from events
    where event_type = 'impression'

),

-- Days on which the shop tells of a view which decision it came from: there a view that names none came from elsewhere.
-- Only views that were known on their day say so, so that a late one changes nothing about the others.
telling_days as (

    select distinct event_date
    from events
    where event_type = 'view' and decision_id is not null and item_known_date = event_date

),

outcomes as (

    select
        impressions.event_id,
        min(events.known_date) filter (where events.event_type = 'view') as clicked_known_date,
        min(events.known_date) filter (where events.event_type = 'cart') as carted_known_date,
        min(events.known_date) filter (where events.event_type = 'purchase') as purchased_known_date
    from impressions
    inner join events
        on
            impressions.user_id = events.user_id
            and impressions.item_id = events.item_id
            and impressions.event_date = events.event_date
            and impressions.occurred_at <= events.occurred_at
            -- What names a decision is no outcome of another; what names none may be any's.
            and coalesce(impressions.decision_id = events.decision_id, true)
            and events.event_type in ('view', 'cart', 'purchase')
    left join telling_days on impressions.event_date = telling_days.event_date
    where
        events.event_type != 'view'
        or telling_days.event_date is null
        or impressions.decision_id is null
        or events.decision_id is not null
    group by impressions.event_id

)

select
    impressions.event_id,
    impressions.user_id,
    impressions.item_id,
    impressions.occurred_at,
    impressions.event_date,
    impressions.known_date,
    impressions.surface,
    impressions.position,
    impressions.decision_id,
    impressions.propensity,
    outcomes.clicked_known_date is not null as is_clicked,
    outcomes.carted_known_date is not null as is_carted,
    outcomes.purchased_known_date is not null as is_purchased,
    outcomes.clicked_known_date,
    outcomes.carted_known_date,
    outcomes.purchased_known_date
from impressions
left join outcomes on impressions.event_id = outcomes.event_id
