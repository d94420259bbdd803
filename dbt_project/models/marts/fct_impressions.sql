with

events as (

    select *
    from {{ ref('int_events_catalogued') }}
    where user_id is not null

),

impressions as (

    select * from events
    where event_type = 'impression'

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
