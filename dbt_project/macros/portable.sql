{#- The few expressions that DuckDB and PostgreSQL spell differently, or that would differ in their last bit. -#}

{#- A whole number that holds the product of two bigints. -#}
{% macro huge(number) -%}
    cast({{ number }} as {{ 'numeric' if target.type == 'postgres' else 'hugeint' }})
{%- endmacro %}

{#- One whole number divided by another, rounded down, null when that is zero. Neither is negative. -#}
{% macro divide_down(dividend, divisor) -%}
    {%- if target.type == 'postgres' -%}
    cast(div({{ huge(dividend) }}, nullif({{ huge(divisor) }}, 0)) as bigint)
    {%- else -%}
    cast({{ huge(dividend) }} // nullif({{ huge(divisor) }}, 0) as bigint)
    {%- endif -%}
{%- endmacro %}

{#- part / whole in millionths, rounded down. -#}
{% macro share_micros(part, whole) -%}
    {{ divide_down(huge(part) ~ ' * 1000000', whole) }}
{%- endmacro %}

{#-
    part / whole in millionths, drawn towards the shop's own share as if so many more had been seen of it: few events say
    little. Without anything in the whole shop that share is zero.
-#}
{% macro smoothed_share_micros(part, whole, shop_part, shop_whole, strength) -%}
    {{ divide_down(
        huge(part) ~ ' * 1000000 + ' ~ strength ~ ' * coalesce(' ~ share_micros(shop_part, shop_whole) ~ ', 0)',
        '(' ~ whole ~ ' + ' ~ strength ~ ')'
    ) }}
{%- endmacro %}

{#- Whole seconds since 1970, rounded down. -#}
{% macro epoch_seconds(at) -%}
    cast(floor(extract(epoch from {{ at }})) as bigint)
{%- endmacro %}

{#- What a weight of one is worth after so many days, in millionths: sums of integers are the same in any order. -#}
{% macro decay_micros(age_days, half_life_days=none) -%}
    cast(
        floor(
            1000000 * power(
                cast(0.5 as double precision),
                cast({{ age_days }} as double precision) / {{ half_life_days or run_setting('half_life_days') }}
            ) + 0.5
        ) as bigint
    )
{%- endmacro %}

{#- A text in the order of its bytes, whatever collation the warehouse sorts by. -#}
{% macro bytewise(column) -%}
    {{ column }}{{ ' collate "C"' if target.type == 'postgres' }}
{%- endmacro %}
