{{ config(materialized='table') }}

select
    days.user_id,
    windows.feature_date,
    min(windows.age_days) as recency_days,
    min(windows.age_days) filter (where days.purchases > 0) as days_since_purchase,
    {% for window in [1, 7, 28, 90] %}
        {% for counted in ['views', 'carts', 'purchases', 'spend_cents'] %}
            cast(coalesce(sum(days.{{ counted }}) filter (where windows.age_days < {{ window }}), 0) as bigint)
                as {{ counted }}_{{ window }}d,
        {% endfor %}
    {% endfor %}
    cast(count(distinct days.event_date) filter (where windows.age_days < 28) as bigint) as active_days_28d,
    cast(count(distinct days.event_date) filter (where days.purchases > 0) as bigint) as orders_90d,
    cast(count(distinct days.event_date) filter (where days.paid_quantity > 0) as bigint) as paid_orders_90d,
    cast(sum(days.paid_cents) as bigint) as paid_cents_90d,
    cast(sum(days.paid_quantity) as bigint) as paid_quantity_90d,
    cast(sum(days.returns) as bigint) as returns_90d,
    cast(coalesce(sum(days.purchases) filter (where windows.age_days < 56), 0) as bigint) as purchases_56d,
    {% for window in [28, 56] %}
        cast(coalesce(sum(days.events) filter (where windows.age_days < {{ window }}), 0) as bigint)
            as events_{{ window }}d,
    {% endfor %}
    cast(sum(days.events) as bigint) as events_90d,
    {% for quarter in ['night', 'morning', 'afternoon', 'evening'] %}
        cast(sum(days.{{ quarter }}_events) as bigint) as {{ quarter }}_events_90d,
    {% endfor %}
    cast(coalesce(sum(days.events) filter (where extract(isodow from days.event_date) >= 6), 0) as bigint)
        as weekend_events_90d,
    cast(coalesce(sum(days.dwells) filter (where windows.age_days < 28), 0) as bigint) as dwells_28d,
    cast(coalesce(sum(days.dwell_ms) filter (where windows.age_days < 28), 0) as bigint) as dwell_ms_28d,
    cast(sum(days.positive_weight * windows.decay_micros) as bigint) as weight_micros
from {{ ref('int_days_windowed') }} as windows
inner join {{ ref('int_user_days_aggregated') }} as days
    on windows.event_date = days.event_date and windows.feature_date >= days.known_date
where windows.age_days < 90
group by days.user_id, windows.feature_date
