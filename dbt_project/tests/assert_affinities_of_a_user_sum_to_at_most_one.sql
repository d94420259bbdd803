{{ config(tags=['features']) }}

select
    user_id,
    feature_date,
    sum(affinity_micros) as total_micros
from {{ ref('feat_user_category_daily') }}
where feature_date in (select days.feature_date from {{ ref('stg_engine__feature_days') }} as days)
group by user_id, feature_date
having sum(affinity_micros) > 1000000 or min(affinity_micros) < 0
