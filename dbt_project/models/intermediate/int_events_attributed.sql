{%- set missing = 'true' if run_setting('missing_consent') == 'granted' else 'false' %}

select
    events.event_id,
    coalesce(ids.user_id, events.user_id) as user_id,
    events.item_id,
    events.event_type,
    events.occurred_at,
    events.event_date,
    greatest(
        events.known_date,
        coalesce(ids.known_date, events.known_date),
        coalesce(consents.known_date, events.known_date)
    ) as known_date,
    -- Whoever it was: an item was looked at as soon as the event was known and could be used.
    greatest(events.known_date, coalesce(consents.known_date, events.known_date)) as item_known_date,
    events.session_id,
    events.quantity,
    events.unit_price_cents,
    events.value,
    events.dwell_ms,
    events.scroll_depth,
    events.surface,
    events.position,
    events.decision_id,
    events.propensity
from {{ ref('stg_shop__events') }} as events
left join {{ ref('int_identities_resolved') }} as ids on events.user_id = ids.alias_id
left join {{ ref('int_consents_resolved') }} as consents
    on
        coalesce(ids.user_id, events.user_id) = consents.user_id
        and events.occurred_at >= consents.begins_at
        and events.occurred_at < consents.ends_at
where events.user_id is null or coalesce(consents.is_granted, {{ missing }})
