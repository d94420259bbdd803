{#-
    The columns make a key: no combination comes twice and none of them is null. ``days`` names the column that
    restricts the test to the days that are being built, so that it does not cost more with every day of history.
-#}
{% test unique_together(model, columns, days=none) %}

select
    {{ columns | join(', ') }},
    count(*) as num_rows
from {{ model }}
{% if days == 'event_date' %}
where event_date in (select days.event_date from {{ ref('stg_engine__event_days') }} as days)
{% elif days %}
where {{ days }} in (select days.feature_date from {{ ref('stg_engine__feature_days') }} as days)
{% endif %}
group by {{ columns | join(', ') }}
having count(*) > 1 or {{ columns | join(' is null or ') }} is null

{% endtest %}
