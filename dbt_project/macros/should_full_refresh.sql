{#-
    Is a table that is kept by day made anew? dbt's own answer, where asked for by --full-refresh; the tables that the transform
    step names, because another query has built them; and every table of an own file, whose days are all built each time.
-#}
{% macro should_full_refresh() %}
    {%- do return(flags.FULL_REFRESH or target.name == 'own' or model.name in var('rebuilt', [])) -%}
{% endmacro %}
