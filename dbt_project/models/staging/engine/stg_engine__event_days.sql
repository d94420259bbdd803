select event_date
from {{ source('engine', 'event_days') }}
