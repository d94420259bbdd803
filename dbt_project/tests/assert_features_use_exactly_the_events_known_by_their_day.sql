-- The newest day that is being built, counted again from what may be used of what landed, without any of the steps in
-- between: a view that became known later has leaked, one that is missing was lost.
{{ config(tags=['features']) }}

with

newest as (

    select max(feature_date) as feature_date
    from {{ ref('stg_engine__feature_days') }}

),

counted as (

    select
        features.item_id,
        features.views_28d
    from {{ ref('feat_item_daily') }} as features
    inner join newest on features.feature_date = newest.feature_date

),

landed as (

    select
        events.item_id,
        count(*) as views_28d
    from {{ ref('int_events_attributed') }} as events
    inner join newest
        on
            events.event_date > newest.feature_date - 28
            and events.event_date <= newest.feature_date
            and events.item_known_date <= newest.feature_date
    where events.event_type = 'view'
    group by events.item_id

)

select
    counted.item_id,
    counted.views_28d,
    landed.views_28d as landed_views_28d
from counted
left join landed on counted.item_id = landed.item_id
where counted.views_28d is distinct from coalesce(landed.views_28d, 0)
