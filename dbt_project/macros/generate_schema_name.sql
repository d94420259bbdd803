{#- Schemas are named as dbt_project.yml names them, without the target's own in front. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name or target.schema }}
{%- endmacro %}
