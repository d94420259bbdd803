select feature_date
from {{ source('engine', 'feature_days') }}
