{#-
    The day whose words and links count: the last that is built, or the later one that the transform step names, where
    earlier days are built again without those who have withdrawn since.
-#}
{% macro last_known_day() -%}
    {%- if var('heard_until', none) -%}
    cast('{{ var("heard_until") }}' as date)
    {%- else -%}
    (select max(days.feature_date) from {{ ref('stg_engine__feature_days') }} as days)
    {%- endif -%}
{%- endmacro %}
