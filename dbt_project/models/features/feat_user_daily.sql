with

windows as (

    select * from {{ ref('int_days_windowed') }}
    where age_days < 90

),

activity as (

    select
        days.user_id,
        windows.feature_date,
        min(windows.age_days) as recency_days,
        count(distinct days.event_date) filter (where windows.age_days < 28) as active_days_28d,
        sum(days.views) filter (where windows.age_days < 28) as views_28d,
        sum(days.purchases) filter (where windows.age_days < 28) as purchases_28d,
        count(distinct days.event_date) filter (where days.purchases > 0) as orders_90d,
        sum(days.spend_cents) as spend_cents_90d,
        sum(days.paid_cents) as paid_cents_90d,
        sum(days.paid_quantity) as paid_quantity_90d
    from windows
    inner join {{ ref('int_user_days_aggregated') }} as days
        on windows.event_date = days.event_date and windows.feature_date >= days.known_date
    group by days.user_id, windows.feature_date

),

categories as (

    select
        days.user_id,
        windows.feature_date,
        count(distinct days.category) as categories_28d
    from windows
    inner join {{ ref('int_user_category_days_aggregated') }} as days
        on windows.event_date = days.event_date and windows.feature_date >= days.known_date
    where windows.age_days < 28
    group by days.user_id, windows.feature_date

),

accounts as (

    select
        users.user_id,
        days.feature_date,
        min(cast(users.created_at as date)) as created_date
    from {{ ref('stg_engine__feature_days') }} as days
    inner join {{ ref('stg_shop__users') }} as users on days.feature_date >= users.known_date
    group by users.user_id, days.feature_date

),

beginnings as (

    select
        seen.user_id,
        days.feature_date,
        min(seen.event_date) as first_event_date
    from {{ ref('stg_engine__feature_days') }} as days
    inner join {{ ref('int_user_days_aggregated') }} as seen on days.feature_date >= seen.known_date
    group by seen.user_id, days.feature_date

)

select
    activity.user_id,
    activity.feature_date,
    activity.recency_days,
    -- An account that is opened tomorrow is no reason for a negative age.
    cast(
        greatest(activity.feature_date - coalesce(accounts.created_date, beginnings.first_event_date), 0) as integer
    ) as tenure_days,
    cast(activity.active_days_28d as integer) as active_days_28d,
    cast(coalesce(activity.views_28d, 0) as bigint) as views_28d,
    cast(coalesce(activity.purchases_28d, 0) as bigint) as purchases_28d,
    activity.orders_90d,
    cast(activity.spend_cents_90d as bigint) as spend_cents_90d,
    {{ divide_down('activity.paid_cents_90d', 'activity.paid_quantity_90d') }} as mean_price_cents_90d,
    coalesce(categories.categories_28d, 0) as categories_28d
from activity
inner join beginnings
    on activity.user_id = beginnings.user_id and activity.feature_date = beginnings.feature_date
left join accounts
    on activity.user_id = accounts.user_id and activity.feature_date = accounts.feature_date
left join categories
    on activity.user_id = categories.user_id and activity.feature_date = categories.feature_date
