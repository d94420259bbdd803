{%- set counts = [
    'popularity_micros', 'popularity_short_micros', 'popularity_long_micros', 'popularity_7d', 'popularity_28d',
    'views_7d', 'views_28d', 'carts_7d', 'carts_28d', 'purchases_7d', 'purchases_28d', 'returns_28d',
    'purchases_90d', 'returns_90d', 'ratings_90d', 'rating_micros_90d'
] -%}
{%- set shop_counts = [
    'carts_28d', 'purchases_28d', 'returns_90d', 'cartable_28d', 'buyable_28d', 'payable_28d', 'returnable_90d',
    'ratings_90d', 'rating_micros_90d'
] -%}
with

windows as (

    select * from {{ ref('int_days_windowed') }}

),

items as (

    select
        versions.item_id,
        days.feature_date,
        versions.title,
        versions.category,
        versions.price_cents,
        versions.available_until,
        coalesce(cast(versions.available_from as date), versions.first_known_date) as began_date,
        earlier.price_cents as earlier_price_cents
    from {{ ref('stg_engine__feature_days') }} as days
    inner join {{ ref('int_items_versioned') }} as versions
        on days.feature_date >= versions.valid_from and days.feature_date < versions.valid_until
    left join {{ ref('int_items_versioned') }} as earlier
        on
            versions.item_id = earlier.item_id
            and days.feature_date - 28 >= earlier.valid_from
            and days.feature_date - 28 < earlier.valid_until

),

activity as (

    select
        days.item_id,
        windows.feature_date,
        sum(days.weight * windows.decay_micros) as popularity_micros,
        sum(days.weight * windows.short_decay_micros) as popularity_short_micros,
        sum(days.weight * windows.long_decay_micros) as popularity_long_micros,
        sum(days.positive_weight) filter (where windows.age_days < 7) as popularity_7d,
        sum(days.positive_weight) filter (where windows.age_days < 28) as popularity_28d,
        {% for window in [7, 28] %}
            {% for counted in ['views', 'carts', 'purchases'] %}
                sum(days.{{ counted }}) filter (where windows.age_days < {{ window }}) as {{ counted }}_{{ window }}d,
            {% endfor %}
        {% endfor %}
        sum(days.returns) filter (where windows.age_days < 28) as returns_28d,
        sum(days.purchases) filter (where windows.age_days < 90) as purchases_90d,
        sum(days.returns) filter (where windows.age_days < 90) as returns_90d,
        sum(days.ratings) filter (where windows.age_days < 90) as ratings_90d,
        sum(days.rating_micros) filter (where windows.age_days < 90) as rating_micros_90d
    from windows
    inner join {{ ref('int_item_days_aggregated') }} as days
        on windows.event_date = days.event_date and windows.feature_date >= days.known_date
    group by days.item_id, windows.feature_date

),

buyers as (

    select
        interactions.item_id,
        windows.feature_date,
        count(distinct interactions.user_id) as buyers_28d,
        count(*) as purchases_28d
    from windows
    inner join {{ ref('fct_interactions') }} as interactions
        on
            windows.event_date = interactions.event_date
            and windows.feature_date >= interactions.known_date
    where windows.age_days < 28 and interactions.event_type = 'purchase'
    group by interactions.item_id, windows.feature_date

),

-- Whatever nobody did is zero.
measured as (

    select
        items.*,
        {% for counted in counts %}
            cast(coalesce(activity.{{ counted }}, 0) as bigint) as {{ counted }},
        {% endfor %}
        coalesce(buyers.buyers_28d, 0) as buyers_28d,
        buyers.purchases_28d as known_purchases_28d
    from items
    left join activity
        on items.item_id = activity.item_id and items.feature_date = activity.feature_date
    left join buyers
        on items.item_id = buyers.item_id and items.feature_date = buyers.feature_date

),

-- Shops leave out views, or carts: what came of them was at least as many.
bounded as (

    select
        *,
        greatest(views_28d, carts_28d) as cartable_28d,
        greatest(views_28d, purchases_28d) as buyable_28d,
        greatest(carts_28d, purchases_28d) as payable_28d,
        greatest(purchases_90d, returns_90d) as returnable_90d
    from measured

),

compared as (

    select
        *,
        {% for counted in shop_counts %}
            sum({{ counted }}) over (partition by feature_date) as shop_{{ counted }},
        {% endfor %}
        4 * popularity_7d as popularity_of_four_weeks
    from bounded

)

select
    items.item_id,
    items.feature_date,
    items.popularity_micros,
    items.popularity_short_micros,
    items.popularity_long_micros,
    items.popularity_7d,
    {{ share_micros('items.popularity_of_four_weeks', 'items.popularity_28d') }} as popularity_trend_micros,
    items.views_7d,
    items.views_28d,
    items.carts_7d,
    items.carts_28d,
    items.purchases_7d,
    items.purchases_28d,
    items.buyers_28d,
    {{ share_micros('items.buyers_28d', 'items.known_purchases_28d') }} as buyers_per_purchase_micros_28d,
    items.returns_28d,
    {{ smoothed_share_micros(
        'items.carts_28d', 'items.cartable_28d', 'items.shop_carts_28d', 'items.shop_cartable_28d', 20
    ) }} as carts_per_view_micros_28d,
    {{ smoothed_share_micros(
        'items.purchases_28d', 'items.buyable_28d', 'items.shop_purchases_28d', 'items.shop_buyable_28d', 20
    ) }} as purchases_per_view_micros_28d,
    {{ smoothed_share_micros(
        'items.purchases_28d', 'items.payable_28d', 'items.shop_purchases_28d', 'items.shop_payable_28d', 5
    ) }} as purchases_per_cart_micros_28d,
    {{ smoothed_share_micros(
        'items.returns_90d', 'items.returnable_90d', 'items.shop_returns_90d', 'items.shop_returnable_90d', 5
    ) }} as return_rate_micros_90d,
    items.ratings_90d,
    {{ divide_down(
        'items.rating_micros_90d + 5 * ' ~ divide_down('items.shop_rating_micros_90d', 'items.shop_ratings_90d'),
        '(items.ratings_90d + 5)'
    ) }} as rating_micros_90d,
    items.price_cents,
    {{ share_micros('items.price_cents', 'items.earlier_price_cents') }} as price_change_micros_28d,
    {{ share_micros('items.price_cents', 'categories.mean_price_cents') }} as price_level_micros,
    -- Announced for a later day: new, not of a negative age.
    cast(greatest(items.feature_date - items.began_date, 0) as integer) as age_days,
    case
        when items.available_until is not null
            then cast(greatest(cast(items.available_until as date) - items.feature_date, 0) as integer)
    end as days_left,
    categories.items as category_items,
    cast(categories.feature_date - categories.first_known_date as integer) as category_age_days,
    cast(length(replace(regexp_replace(items.title, '[^ ]+', 'x', 'g'), ' ', '')) as integer) as title_words,
    length(regexp_replace(items.title, '[0-9]', '', 'g')) < length(items.title) as has_title_number
from compared as items
left join {{ ref('int_categories_described') }} as categories
    on items.category = categories.category and items.feature_date = categories.feature_date
