{{ config(materialized='table') }}

-- After 21 half-lives a weight is worth less than half a millionth: nothing older can change a sum.
{%- set oldest = [21 * (run_setting('half_life_days') | int), 90] | max %}

select
    days.feature_date,
    days.feature_date - cast(ages.age_days as integer) as event_date,
    cast(ages.age_days as integer) as age_days,
    {{ decay_micros('ages.age_days') }} as decay_micros,
    {{ decay_micros('ages.age_days', 3) }} as short_decay_micros,
    {{ decay_micros('ages.age_days', 56) }} as long_decay_micros
from {{ ref('stg_engine__feature_days') }} as days
cross join generate_series(0, {{ oldest - 1 }}) as ages (age_days)
