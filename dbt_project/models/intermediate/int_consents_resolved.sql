{{ config(materialized='table') }}

{%- set missing = 'true' if run_setting('missing_consent') == 'granted' else 'false' %}

with

words as (

    select
        coalesce(ids.user_id, said.user_id) as user_id,
        said.said_at,
        greatest(said.known_date, coalesce(ids.known_date, said.known_date)) as known_date,
        bool_and(said.is_granted) as is_granted
    from {{ ref('stg_shop__consents') }} as said
    left join {{ ref('int_identities_resolved') }} as ids on said.user_id = ids.alias_id
    where
        said.purpose = 'personalization'
        and said.known_date <= {{ last_known_day() }}
    group by
        coalesce(ids.user_id, said.user_id),
        said.said_at,
        greatest(said.known_date, coalesce(ids.known_date, said.known_date))

),

-- The days on which something became known about a person: what was heard by each of them, a denial before a grant
days as (

    select distinct
        user_id,
        known_date
    from words

),

heard as (

    select
        days.user_id,
        days.known_date,
        words.said_at,
        bool_and(words.is_granted) as is_granted
    from days
    inner join words on days.user_id = words.user_id and days.known_date >= words.known_date
    group by days.user_id, days.known_date, words.said_at

),

latest as (

    select
        *,
        row_number() over (partition by user_id, known_date order by said_at desc) as newness
    from heard

),

beginnings as (

    select
        user_id,
        said_at as begins_at
    from words
    union
    select
        user_id,
        cast('0001-01-01' as timestamp) as begins_at
    from words

),

-- By what was known on a day: the word that held from an instant on
held as (

    select
        latest.user_id,
        latest.known_date,
        beginnings.begins_at,
        latest.is_granted as is_granted_at_last,
        heard.is_granted,
        row_number() over (
            partition by latest.user_id, latest.known_date, beginnings.begins_at order by heard.said_at desc
        ) as newness
    from latest
    inner join beginnings on latest.user_id = beginnings.user_id
    left join heard
        on
            latest.user_id = heard.user_id
            and latest.known_date = heard.known_date
            and beginnings.begins_at >= heard.said_at
    where latest.newness = 1

),

answers as (

    select
        user_id,
        begins_at,
        known_date,
        is_granted_at_last and coalesce(is_granted, {{ missing }}) as is_granted
    from held
    where newness = 1

),

judged as (

    select
        *,
        max(known_date) over (partition by user_id) as last_known_date,
        max(case when not is_granted then known_date end) over (partition by user_id, begins_at) as last_denied_date
    from answers

)

select
    user_id,
    begins_at,
    coalesce(
        lead(begins_at) over (partition by user_id order by begins_at), cast('9999-12-31' as timestamp)
    ) as ends_at,
    bool_and(is_granted) filter (where known_date = last_known_date) as is_granted,
    -- The first of the days since which the answer has been yes.
    case
        when {{ missing }} and max(last_denied_date) is null then cast('0001-01-01' as date)
        else coalesce(
            min(known_date) filter (where last_denied_date is null or known_date > last_denied_date),
            cast('9999-12-31' as date)
        )
    end as known_date
from judged
group by user_id, begins_at
