{#-
    The incremental strategy of every table that is kept by day: delete the days that are being built, insert what
    was built for them. A day that has become empty is emptied, which delete+insert by key would miss. Both happen in
    the one transaction that dbt opens for a model.
-#}
{% macro get_incremental_replace_days_sql(arg_dict) %}
    {%- set day = arg_dict["unique_key"] -%}
    {%- set days = source('engine', 'feature_days' if day == 'feature_date' else 'event_days') -%}
    {%- set columns = arg_dict["dest_columns"] | map(attribute="quoted") | join(", ") -%}
    delete from {{ arg_dict["target_relation"] }}
    where {{ day }} in (select days.{{ day }} from {{ days }} as days);

    insert into {{ arg_dict["target_relation"] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict["temp_relation"] }};
{% endmacro %}
