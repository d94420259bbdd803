with

beginnings as (

    select
        user_id,
        known_date,
        min(cast(created_at as date)) as created_date,
        cast(null as date) as first_event_date
    from {{ ref('stg_shop__users') }}
    group by user_id, known_date

    union all

    select
        user_id,
        known_date,
        cast(null as date) as created_date,
        min(event_date) as first_event_date
    from {{ ref('int_user_days_aggregated') }}
    group by user_id, known_date

),

by_known_date as (

    select
        user_id,
        known_date,
        min(created_date) as created_date,
        min(first_event_date) as first_event_date
    from beginnings
    group by user_id, known_date

),

compared as (

    select
        *,
        min(created_date) over (
            partition by user_id order by known_date rows between unbounded preceding and 1 preceding
        ) as created_before,
        min(first_event_date) over (
            partition by user_id order by known_date rows between unbounded preceding and 1 preceding
        ) as first_event_before
    from by_known_date

)

select
    user_id,
    known_date,
    created_date,
    first_event_date
from compared
where
    created_date < coalesce(created_before, cast('9999-12-31' as date))
    or first_event_date < coalesce(first_event_before, cast('9999-12-31' as date))
