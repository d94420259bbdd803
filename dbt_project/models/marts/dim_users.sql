{{ config(materialized='view') }}

{%- set missing = 'true' if var('missing_consent') == 'granted' else 'false' %}

with

-- Of whom may be spoken now: what counts is the last word of all.
users as (

    select
        coalesce(ids.user_id, told.user_id) as user_id,
        told.created_at
    from {{ ref('stg_shop__users') }} as told
    left join {{ ref('int_identities_resolved') }} as ids on told.user_id = ids.alias_id
    left join {{ ref('int_consents_resolved') }} as consents
        on
            coalesce(ids.user_id, told.user_id) = consents.user_id
            and consents.ends_at = cast('9999-12-31' as timestamp)
    where coalesce(consents.is_granted, {{ missing }})

),

dates as (

    select
        user_id,
        cast(created_at as date) as created_date,
        cast(null as date) as event_date
    from users

    union all

    select
        user_id,
        cast(null as date) as created_date,
        event_date
    from {{ ref('int_user_days_aggregated') }}

)

select
    user_id,
    min(created_date) as created_date,
    min(event_date) as first_event_date,
    max(event_date) as last_event_date
from dates
group by user_id
