{%- set missing = 'true' if run_setting('missing_consent') == 'granted' else 'false' %}

select
    decisions.decision_id,
    coalesce(ids.user_id, decisions.user_id) as user_id,
    decisions.decided_at,
    decisions.event_date,
    greatest(
        decisions.known_date,
        coalesce(ids.known_date, decisions.known_date),
        coalesce(consents.known_date, decisions.known_date)
    ) as known_date,
    decisions.surface,
    decisions.version,
    decisions.source,
    decisions.made_from,
    decisions.fallback,
    decisions.num_items,
    decisions.is_short,
    decisions.rules_applied,
    decisions.rules_dropped
from {{ ref('stg_shop__decisions') }} as decisions
left join {{ ref('int_identities_resolved') }} as ids on decisions.user_id = ids.alias_id
left join {{ ref('int_consents_resolved') }} as consents
    on
        coalesce(ids.user_id, decisions.user_id) = consents.user_id
        and decisions.decided_at >= consents.begins_at
        and decisions.decided_at < consents.ends_at
where coalesce(consents.is_granted, {{ missing }})
