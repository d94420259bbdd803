{{ config(tags=['features']) }}

with

users as (

    select * from {{ ref('feat_user_daily') }}
    where feature_date in (select days.feature_date from {{ ref('stg_engine__feature_days') }} as days)

),

items as (

    select * from {{ ref('feat_item_daily') }}
    where feature_date in (select days.feature_date from {{ ref('stg_engine__feature_days') }} as days)

)

select
    user_id as entity_id,
    feature_date
from users
where
    not (views_1d <= views_7d and views_7d <= views_28d and views_28d <= views_90d)
    or not (carts_1d <= carts_7d and carts_7d <= carts_28d and carts_28d <= carts_90d)
    or not (purchases_1d <= purchases_7d and purchases_7d <= purchases_28d and purchases_28d <= purchases_90d)
    or not (orders_90d <= purchases_90d)

union all

select
    item_id as entity_id,
    feature_date
from items
where not (views_7d <= views_28d and carts_7d <= carts_28d and purchases_7d <= purchases_28d)
