{{ config(tags=['features']) }}

with

affinities as (

    select
        'category' as kind,
        user_id,
        feature_date,
        affinity_micros
    from {{ ref('feat_user_category_daily') }}

    union all

    select
        'brand' as kind,
        user_id,
        feature_date,
        affinity_micros
    from {{ ref('feat_user_brand_daily') }}

)

select
    kind,
    user_id,
    feature_date,
    sum(affinity_micros) as total_micros
from affinities
where feature_date in (select days.feature_date from {{ ref('stg_engine__feature_days') }} as days)
group by kind, user_id, feature_date
having sum(affinity_micros) > 1000000 or min(affinity_micros) < 0
