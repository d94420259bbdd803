with

windows as (

    select * from {{ ref('int_days_windowed') }}

),

items as (

    select
        versions.item_id,
        days.feature_date,
        versions.price_cents,
        coalesce(cast(versions.available_from as date), versions.first_known_date) as began_date
    from {{ ref('stg_engine__feature_days') }} as days
    inner join {{ ref('int_items_versioned') }} as versions
        on days.feature_date >= versions.valid_from and days.feature_date < versions.valid_until

),

activity as (

    select
        days.item_id,
        windows.feature_date,
        sum(days.weight * windows.decay_micros) as popularity_micros,
        sum(days.positive_weight) filter (where windows.age_days < 7) as popularity_7d,
        sum(days.views) filter (where windows.age_days < 28) as views_28d,
        sum(days.purchases) filter (where windows.age_days < 28) as purchases_28d,
        sum(days.returns) filter (where windows.age_days < 28) as returns_28d
    from windows
    inner join {{ ref('int_item_days_aggregated') }} as days
        on windows.event_date = days.event_date and windows.feature_date >= days.known_date
    group by days.item_id, windows.feature_date

),

buyers as (

    select
        interactions.item_id,
        windows.feature_date,
        count(distinct interactions.user_id) as buyers_28d
    from windows
    inner join {{ ref('fct_interactions') }} as interactions
        on
            windows.event_date = interactions.event_date
            and windows.feature_date >= interactions.known_date
    where windows.age_days < 28 and interactions.event_type = 'purchase'
    group by interactions.item_id, windows.feature_date

)

select
    items.item_id,
    items.feature_date,
    cast(coalesce(activity.popularity_micros, 0) as bigint) as popularity_micros,
    cast(coalesce(activity.popularity_7d, 0) as bigint) as popularity_7d,
    cast(coalesce(activity.views_28d, 0) as bigint) as views_28d,
    cast(coalesce(activity.purchases_28d, 0) as bigint) as purchases_28d,
    coalesce(buyers.buyers_28d, 0) as buyers_28d,
    cast(coalesce(activity.returns_28d, 0) as bigint) as returns_28d,
    items.price_cents,
    -- Announced for a later day: new, not of a negative age.
    cast(greatest(items.feature_date - items.began_date, 0) as integer) as age_days
from items
left join activity
    on items.item_id = activity.item_id and items.feature_date = activity.feature_date
left join buyers
    on items.item_id = buyers.item_id and items.feature_date = buyers.feature_date
