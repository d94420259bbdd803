-- Each of the four is rounded down.
{{ config(tags=['features']) }}

select
    user_id,
    feature_date
from {{ ref('feat_user_daily') }}
where
    feature_date in (select days.feature_date from {{ ref('stg_engine__feature_days') }} as days)
    and night_share_micros_90d + morning_share_micros_90d + afternoon_share_micros_90d + evening_share_micros_90d
    not between 999997 and 1000000
