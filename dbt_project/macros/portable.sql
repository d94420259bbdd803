{#- The few expressions that DuckDB and PostgreSQL spell differently, or that would differ in their last bit. -#}

{#- An integer divided by an integer, rounded down; null when the divisor is zero. Both are taken to be positive. -#}
{% macro divide_down(dividend, divisor) -%}
    {{ return(adapter.dispatch('divide_down')(dividend, divisor)) }}
{%- endmacro %}

{% macro duckdb__divide_down(dividend, divisor) -%}
    cast(cast({{ dividend }} as hugeint) // nullif(cast({{ divisor }} as hugeint), 0) as bigint)
{%- endmacro %}

{% macro postgres__divide_down(dividend, divisor) -%}
    cast(div(cast({{ dividend }} as numeric), nullif(cast({{ divisor }} as numeric), 0)) as bigint)
{%- endmacro %}

{#- part / whole in millionths, rounded down. Neither a double nor a bigint could hold the product. -#}
{% macro share_micros(part, whole) -%}
    {{ return(adapter.dispatch('share_micros')(part, whole)) }}
{%- endmacro %}

{% macro duckdb__share_micros(part, whole) -%}
    cast((cast({{ part }} as hugeint) * 1000000) // nullif(cast({{ whole }} as hugeint), 0) as bigint)
{%- endmacro %}

{% macro postgres__share_micros(part, whole) -%}
    cast(div(cast({{ part }} as numeric) * 1000000, nullif(cast({{ whole }} as numeric), 0)) as bigint)
{%- endmacro %}

{#- What a weight of one is worth after so many days, in millionths: sums of integers are the same in any order. -#}
{% macro decay_micros(age_days) -%}
    cast(
        floor(
            1000000 * power(
                cast(0.5 as double precision),
                cast({{ age_days }} as double precision) / {{ var('half_life_days') }}
            ) + 0.5
        ) as bigint
    )
{%- endmacro %}
