{{ config(tags=['intermediate']) }}

select
    feature_date,
    event_date,
    decay_micros
from {{ ref('int_days_windowed') }}
where
    (age_days = 0 and decay_micros <> 1000000)
    or (age_days = {{ run_setting('half_life_days') }} and decay_micros <> 500000)
    or (age_days = {{ 2 * (run_setting('half_life_days') | int) }} and decay_micros <> 250000)
