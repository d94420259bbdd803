{{ config(tags=['features']) }}

select
    items.item_id,
    items.feature_date
from {{ ref('dim_items') }} as items
left join {{ ref('feat_item_daily') }} as features
    on items.item_id = features.item_id and items.feature_date = features.feature_date
where
    features.item_id is null
    and items.feature_date in (select days.feature_date from {{ ref('stg_engine__feature_days') }} as days)
