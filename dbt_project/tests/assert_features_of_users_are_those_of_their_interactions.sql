-- The newest day that is being built, counted again from the interactions, without the aggregates in between: each
-- window holds exactly its days, what became known later counts for nothing, and nobody is lost.
{{ config(tags=['features']) }}

with

newest as (

    select max(feature_date) as feature_date
    from {{ ref('stg_engine__feature_days') }}

),

features as (

    select daily.*
    from {{ ref('feat_user_daily') }} as daily
    inner join newest on daily.feature_date = newest.feature_date

),

known as (

    select
        interactions.user_id,
        interactions.event_date,
        interactions.event_type,
        interactions.revenue_cents,
        newest.feature_date - interactions.event_date as age_days
    from {{ ref('fct_interactions') }} as interactions
    inner join newest
        on
            interactions.event_date > newest.feature_date - 90
            and interactions.event_date <= newest.feature_date
            and interactions.known_date <= newest.feature_date

),

counted as (

    select
        user_id,
        min(age_days) as recency_days,
        count(distinct event_date) filter (where age_days < 28) as active_days_28d,
        count(*) filter (where event_type = 'view' and age_days < 28) as views_28d,
        count(*) filter (where event_type = 'purchase' and age_days < 28) as purchases_28d,
        count(distinct event_date) filter (where event_type = 'purchase') as orders_90d,
        coalesce(sum(revenue_cents), 0) as spend_cents_90d
    from known
    group by user_id

)

select
    coalesce(features.user_id, counted.user_id) as user_id,
    features.recency_days,
    counted.recency_days as counted_recency_days,
    features.views_28d,
    counted.views_28d as counted_views_28d,
    features.spend_cents_90d,
    counted.spend_cents_90d as counted_spend_cents_90d
from features
full outer join counted on features.user_id = counted.user_id
where
    features.recency_days is distinct from counted.recency_days
    or features.active_days_28d is distinct from counted.active_days_28d
    or features.views_28d is distinct from counted.views_28d
    or features.purchases_28d is distinct from counted.purchases_28d
    or features.orders_90d is distinct from counted.orders_90d
    or features.spend_cents_90d is distinct from counted.spend_cents_90d
