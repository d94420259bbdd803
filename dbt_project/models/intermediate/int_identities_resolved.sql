{{ config(materialized='table') }}

with recursive

told as (

    select
        alias_id,
        user_id,
        linked_at,
        min(known_date) as known_date
    from {{ ref('stg_shop__identities') }}
    where known_date <= (select max(days.feature_date) from {{ ref('stg_engine__feature_days') }} as days)
    group by alias_id, user_id, linked_at

),

ranked as (

    select
        *,
        row_number() over (partition by alias_id order by linked_at desc, {{ bytewise('user_id') }}) as newness
    from told

),

links as (

    select
        alias_id,
        user_id,
        known_date
    from ranked
    where newness = 1

),

-- Every id that the links of an alias lead to, and since when that is known; a circle gives nothing new when it is
-- gone round again.
reached as (

    select
        alias_id,
        user_id,
        known_date
    from links
    union
    select
        reached.alias_id,
        links.user_id,
        greatest(reached.known_date, links.known_date) as known_date
    from reached
    inner join links on reached.user_id = links.alias_id

),

circular as (

    select distinct alias_id as user_id
    from reached
    where alias_id = user_id

),

ends as (

    select
        reached.alias_id,
        reached.user_id,
        reached.known_date,
        row_number() over (partition by reached.alias_id order by {{ bytewise('reached.user_id') }}) as place
    from reached
    left join links on reached.user_id = links.alias_id
    left join circular on reached.user_id = circular.user_id
    where links.alias_id is null or circular.user_id is not null

)

select
    ends.alias_id,
    ends.user_id,
    max(reached.known_date) as known_date
from ends
inner join reached on ends.alias_id = reached.alias_id
where ends.place = 1
group by ends.alias_id, ends.user_id
