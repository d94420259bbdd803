with

decisions as (

    select *
    from {{ ref('int_decisions_attributed') }}
    where event_date in (select days.event_date from {{ ref('stg_engine__event_days') }} as days)

),

-- Since when it is known that something of an answer was shown, and that it was clicked, put into the cart or bought
followed as (

    select
        decision_id,
        event_date,
        min(known_date) as shown_known_date,
        min(case when is_clicked then greatest(known_date, clicked_known_date) end) as clicked_known_date,
        min(case when is_carted then greatest(known_date, carted_known_date) end) as carted_known_date,
        min(case when is_purchased then greatest(known_date, purchased_known_date) end) as purchased_known_date
    from {{ ref('fct_impressions') }}
    where
        decision_id is not null
        and event_date in (select days.event_date from {{ ref('stg_engine__event_days') }} as days)
    group by decision_id, event_date

)

select
    decisions.decision_id,
    decisions.user_id,
    decisions.decided_at,
    decisions.event_date,
    decisions.known_date,
    decisions.surface,
    decisions.version,
    decisions.source,
    decisions.fallback,
    decisions.made_from,
    decisions.num_items,
    decisions.is_short,
    decisions.rules_applied,
    decisions.rules_dropped,
    followed.shown_known_date is not null as is_shown,
    followed.clicked_known_date is not null as is_clicked,
    followed.carted_known_date is not null as is_carted,
    followed.purchased_known_date is not null as is_purchased,
    followed.shown_known_date,
    followed.clicked_known_date,
    followed.carted_known_date,
    followed.purchased_known_date
from decisions
left join followed
    on
        decisions.decision_id = followed.decision_id
        and decisions.event_date = followed.event_date
