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
        min(events.known_date) filter (where events.event_type = 'purchase') as purchased_known_date
    from impressions
    inner join events
        on
            impressions.user_id = events.user_id
            and impressions.item_id = events.item_id
            and impressions.event_date = events.event_date
            and impressions.occurred_at <= events.occurred_at
            and events.event_type in ('view', 'purchase')
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
    outcomes.clicked_known_date is not null as is_clicked,
    outcomes.purchased_known_date is not null as is_purchased,
    outcomes.clicked_known_date,
    outcomes.purchased_known_date
from impressions
left join outcomes on impressions.event_id = outcomes.event_id
