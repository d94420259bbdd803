{#- What a run is set to: of --vars, else, in an own file, of the run that built the newest day, else the default. -#}
{% macro run_setting(name) -%}
    {%- set told = var(name, none) -%}
    {%- if told is none and target.name == 'own' and execute -%}
        {%- set told = run_query('select ' ~ name ~ ' from ops.run_settings').rows[0][0] -%}
    {%- endif -%}
    {{ return(var('defaults')[name] if told is none else told) }}
{%- endmacro %}
