{{ config(materialized='table') }}

with recursive

told as (

    select
        alias_id,
        user_id,
        linked_at,
        min(known_date) as known_date
    from {{ ref('stg_shop__identities') }}
    where known_date <= {{ last_known_day() }}
    group by alias_id, user_id, linked_at

),

-- Every id that links of an alias, of any time, may lead to: what is told of one of these may lead it elsewhere.
near as (

    select
        alias_id,
        alias_id as near_id
    from told
    union
    select
        near.alias_id,
        told.user_id as near_id
    from near
    inner join told on near.near_id = told.alias_id

),

-- The days on which something became known of where an alias leads, and until when nothing more did
days as (

    select
        alias_id,
        known_date,
        coalesce(
            lead(known_date) over (partition by alias_id order by known_date), cast('9999-12-31' as date)
        ) as until_date
    from (
        select distinct
            near.alias_id,
            told.known_date
        from near
        inner join told on near.near_id = told.alias_id
    ) as heard

),

ranked as (

    select
        days.*,
        told.user_id,
        row_number() over (
            partition by days.alias_id, days.known_date order by told.linked_at desc, {{ bytewise('told.user_id') }}
        ) as newness
    from days
    inner join told on days.alias_id = told.alias_id and days.known_date >= told.known_date

),

links as (

    select
        alias_id,
        user_id,
        known_date,
        until_date
    from ranked
    where newness = 1

),

-- Every id that the links of an alias lead to, by what was known on each of its days; a circle gives nothing new when
-- it is gone round again.
reached as (

    select
        alias_id,
        user_id,
        known_date,
        until_date
    from links
    union
    select
        reached.alias_id,
        links.user_id,
        reached.known_date,
        reached.until_date
    from reached
    inner join links
        on
            reached.user_id = links.alias_id
            and reached.known_date >= links.known_date
            and reached.known_date < links.until_date

),

ends as (

    select
        reached.alias_id,
        reached.user_id,
        reached.known_date,
        row_number() over (
            partition by reached.alias_id, reached.known_date order by {{ bytewise('reached.user_id') }}
        ) as place
    from reached
    left join links
        on
            reached.user_id = links.alias_id
            and reached.known_date >= links.known_date
            and reached.known_date < links.until_date
    left join reached as round
        on
            reached.user_id = round.alias_id
            and reached.user_id = round.user_id
            and reached.known_date >= round.known_date
            and reached.known_date < round.until_date
    where links.alias_id is null or round.alias_id is not null

),

-- Before its first link an alias is itself.
resolved as (

    select
        days.alias_id,
        days.known_date,
        coalesce(ends.user_id, days.alias_id) as user_id,
        first_value(coalesce(ends.user_id, days.alias_id)) over (
            partition by days.alias_id order by days.known_date desc
        ) as last_user_id
    from days
    left join ends on days.alias_id = ends.alias_id and days.known_date = ends.known_date and ends.place = 1

),

judged as (

    select
        *,
        max(case when user_id != last_user_id then known_date end) over (partition by alias_id) as last_other_date
    from resolved

)

select
    alias_id,
    last_user_id as user_id,
    min(known_date) as known_date
from judged
where known_date > last_other_date or (last_other_date is null and alias_id != last_user_id)
group by alias_id, last_user_id
