{{ config(materialized='view') }}

select
    user_id,
    min(created_date) as created_date,
    min(first_event_date) as first_event_date,
    coalesce(min(created_date), min(first_event_date)) as began_date
from {{ ref('int_users_dated') }}
group by user_id
