{{ config(materialized='view') }}

with

dates as (

    select
        user_id,
        cast(created_at as date) as created_date,
        cast(null as date) as event_date
    from {{ ref('stg_shop__users') }}

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
