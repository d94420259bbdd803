{{ config(materialized='table') }}

with

items as (

    select
        interactions.user_id,
        interactions.item_id,
        windows.feature_date,
        count(distinct interactions.event_date) as days
    from {{ ref('int_days_windowed') }} as windows
    inner join {{ ref('fct_interactions') }} as interactions
        on windows.event_date = interactions.event_date and windows.feature_date >= interactions.known_date
    where windows.age_days < 28
    group by interactions.user_id, interactions.item_id, windows.feature_date

)

select
    user_id,
    feature_date,
    cast(count(*) as bigint) as items,
    cast(sum(days) as bigint) as item_days
from items
group by user_id, feature_date
