with

activity as (

    select * from {{ ref('int_user_activity_windowed') }}

),

sessions as (

    select * from {{ ref('int_user_sessions_windowed') }}

),

items as (

    select * from {{ ref('int_user_items_windowed') }}

),

categories as (

    select
        tastes.user_id,
        tastes.feature_date,
        count(*) filter (where tastes.last_age_days < 28) as categories_28d,
        sum({{ huge('tastes.weight_micros') }} * tastes.weight_micros) as squares,
        sum(tastes.weight_micros) as weight_micros,
        -- The mean of the categories' means, each as often as it had events whose price can be compared.
        sum({{ share_micros('tastes.priced_cents', 'described.mean_price_cents') }}) as price_levels_micros,
        sum(tastes.priced_events) filter (where described.mean_price_cents > 0) as priced_events
    from {{ ref('int_user_categories_windowed') }} as tastes
    left join {{ ref('int_categories_described') }} as described
        on tastes.category = described.category and tastes.feature_date = described.feature_date
    group by tastes.user_id, tastes.feature_date

),

brands as (

    select
        user_id,
        feature_date,
        count(*) filter (where last_age_days < 28) as brands_28d,
        sum({{ huge('weight_micros') }} * weight_micros) as squares,
        sum(weight_micros) as weight_micros
    from {{ ref('int_user_brands_windowed') }}
    group by user_id, feature_date

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

),

measured as (

    select
        activity.*,
        -- An account that is opened tomorrow is no reason for a negative age.
        greatest(
            activity.feature_date - coalesce(accounts.created_date, beginnings.first_event_date), 0
        ) as tenure_days,
        greatest(activity.purchases_90d, activity.returns_90d) as returnable_90d,
        count(*) over of_the_day as num_users,
        -- How many users of the day are worse: equal values have as many.
        rank() over (partition by activity.feature_date order by activity.recency_days desc) - 1 as less_recency,
        rank() over (partition by activity.feature_date order by activity.orders_90d) - 1 as less_frequency,
        rank() over (partition by activity.feature_date order by activity.spend_cents_90d) - 1 as less_monetary,
        sum(activity.returns_90d) over of_the_day as shop_returns_90d,
        sum(greatest(activity.purchases_90d, activity.returns_90d)) over of_the_day as shop_returnable_90d
    from activity
    inner join beginnings
        on activity.user_id = beginnings.user_id and activity.feature_date = beginnings.feature_date
    left join accounts
        on activity.user_id = accounts.user_id and activity.feature_date = accounts.feature_date
    window of_the_day as (partition by activity.feature_date)

)

select
    measured.user_id,
    measured.feature_date,
    measured.recency_days,
    measured.days_since_purchase,
    cast(measured.tenure_days as integer) as tenure_days,
    cast(measured.active_days_28d as integer) as active_days_28d,
    {% for counted in ['views', 'carts', 'purchases', 'spend_cents'] %}
        {% for window in [1, 7, 28, 90] %}
            measured.{{ counted }}_{{ window }}d,
        {% endfor %}
    {% endfor %}
    measured.orders_90d,
    {% for score in ['recency', 'frequency', 'monetary'] %}
        cast(1 + {{ divide_down('5 * measured.less_' ~ score, 'measured.num_users') }} as integer) as {{ score }}_score,
    {% endfor %}
    {{ divide_down('measured.orders_90d * 28000000', 'least(measured.tenure_days + 1, 90)') }}
        as purchase_velocity_micros,
    {{ share_micros('measured.purchases_28d', 'measured.purchases_56d') }} as purchase_trend_micros,
    {{ share_micros('measured.events_28d', 'measured.events_56d') }} as activity_trend_micros,
    {{ divide_down('measured.paid_cents_90d', 'measured.paid_quantity_90d') }} as mean_price_cents_90d,
    {{ divide_down('measured.paid_cents_90d', 'measured.paid_orders_90d') }} as mean_basket_cents_90d,
    {{ divide_down('categories.price_levels_micros', 'categories.priced_events') }} as price_level_micros_90d,
    {{ smoothed_share_micros(
        'measured.returns_90d', 'measured.returnable_90d',
        'measured.shop_returns_90d', 'measured.shop_returnable_90d', 5
    ) }} as return_rate_micros_90d,
    coalesce(categories.categories_28d, 0) as categories_28d,
    coalesce(brands.brands_28d, 0) as brands_28d,
    coalesce(items.items, 0) as items_28d,
    {% for tastes, taste in [('categories', 'category'), ('brands', 'brand')] %}
        1000000
        - {{ share_micros(tastes ~ '.squares', huge(tastes ~ '.weight_micros') ~ ' * ' ~ tastes ~ '.weight_micros') }}
            as {{ taste }}_diversity_micros_90d,
    {% endfor %}
    {{ share_micros('(items.item_days - items.items)', 'items.item_days') }} as repeat_share_micros_28d,
    coalesce(sessions.sessions, 0) as sessions_28d,
    {{ divide_down('sessions.seconds', 'sessions.sessions') }} as mean_session_seconds_28d,
    {{ divide_down('sessions.seconds_between', '(sessions.sessions - 1)') }} as mean_session_gap_seconds_28d,
    {{ divide_down('measured.dwell_ms_28d', 'measured.dwells_28d') }} as mean_dwell_ms_28d,
    {% for quarter in ['night', 'morning', 'afternoon', 'evening', 'weekend'] %}
        {{ share_micros('measured.' ~ quarter ~ '_events_90d', 'measured.events_90d') }}
            as {{ quarter }}_share_micros_90d,
    {% endfor %}
    {{ divide_down('measured.weight_micros * (28 + measured.active_days_28d)', 28) }} as engagement_micros_90d
from measured
left join sessions
    on measured.user_id = sessions.user_id and measured.feature_date = sessions.feature_date
left join items
    on measured.user_id = items.user_id and measured.feature_date = items.feature_date
left join categories
    on measured.user_id = categories.user_id and measured.feature_date = categories.feature_date
left join brands
    on measured.user_id = brands.user_id and measured.feature_date = brands.feature_date
