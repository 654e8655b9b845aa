"""The functions of Athena SQL that this engine has, each with its Trino signature and its DuckDB form.

The table is the whole truth: a name that is not in it fails as Athena fails it ("Function 'x' not registered"), or, for
a function that Athena has and this engine lacks, with a NOT_SUPPORTED that says so. DuckDB's own functions are thereby
unreachable. Source of names and signatures: the Trino function reference (Athena engine version 3).

In signatures capital letters are type variables; `N` is any number, `I` any integer, `D` date, timestamp or timestamp
with time zone; `T...` repeats. Templates put the arguments' SQL in for `{0}`, `{1}` …
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from localaws.engines.athena import types as t
from localaws.engines.athena.errors import SqlError
from localaws.engines.athena.types import Type

if TYPE_CHECKING:
    from collections.abc import Callable

    from localaws.engines.athena.expressions import Expr


@dataclass(frozen=True)
class Function:
    """One overload. `sql` is a template or a function of the converted arguments."""

    name: str
    parameters: tuple[Type, ...]
    result: Type
    sql: str | Callable[..., str]
    variadic: bool = False

    def __str__(self) -> str:
        shown = ", ".join(map(str, self.parameters)) + ("..." if self.variadic else "")
        return f"{self.name}({shown})"


SCALAR: dict[str, list[Function]] = {}
AGGREGATE: dict[str, list[Function]] = {}
WINDOW: dict[str, list[Function]] = {}


def _add(table: dict[str, list[Function]], signature: str, sql: str | Callable[..., str]) -> None:
    found = re.fullmatch(r"(\w+)\((.*)\) -> (.+)", signature)
    assert found, signature
    variadic = found[2].endswith("...")
    parameters = tuple(_parse(part) for part in _split(found[2].removesuffix("...")))
    table.setdefault(found[1], []).append(Function(found[1], parameters, _parse(found[3]), sql, variadic))


def _split(text: str) -> list[str]:
    """Splits at commas outside parentheses."""
    parts: list[str] = []
    depth = start = 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if char == "," and not depth:
            parts.append(text[start:at].strip())
            start = at + 1
    return [*parts, text[start:].strip()] if text.strip() else []


@lru_cache
def _parse(text: str) -> Type:
    found = re.fullmatch(r"(array|map|row|function)\((.*)\)", text)
    if found:
        args = tuple(_parse(part) for part in _split(found[2]))
        return Type(found[1], args, (None,) * len(args) if found[1] == "row" else ())
    return Type(text)


def scalars(text: str) -> None:
    """One overload a line: `signature => template`."""
    for line in filter(None, map(str.strip, text.splitlines())):
        signature, _, template = line.partition(" => ")
        _add(SCALAR, signature.strip(), template.strip())


def aggregates(text: str) -> None:
    for line in filter(None, map(str.strip, text.splitlines())):
        signature, _, template = line.partition(" => ")
        _add(AGGREGATE, signature.strip(), template.strip())


def windows(text: str) -> None:
    for line in filter(None, map(str.strip, text.splitlines())):
        signature, _, template = line.partition(" => ")
        _add(WINDOW, signature.strip(), template.strip())


# Mathematical. Integer results overflow in DuckDB as they do in Trino (an error).
scalars(r"""
    abs(N) -> N => abs({0})
    sign(I) -> I => CAST(sign({0}) AS {R})
    sign(double) -> double => CAST(sign({0}) AS DOUBLE)
    ceil(I) -> I => {0}
    ceiling(I) -> I => {0}
    floor(I) -> I => {0}
    ceil(double) -> double => ceil({0})
    ceiling(double) -> double => ceil({0})
    floor(double) -> double => floor({0})
    round(I) -> I => {0}
    round(double) -> double => round({0})
    round(double, integer) -> double => round({0}, {1})
    truncate(double) -> double => trunc({0})
    sqrt(double) -> double => sqrt({0})
    cbrt(double) -> double => CASE WHEN round(cbrt({0})) ** 3 = {0} THEN round(cbrt({0})) ELSE cbrt({0}) END
    exp(double) -> double => exp({0})
    ln(double) -> double => ln({0})
    log2(double) -> double => log2({0})
    log10(double) -> double => log10({0})
    log(double, double) -> double => ln({1}) / ln({0})
    power(double, double) -> double => pow({0}, {1})
    pow(double, double) -> double => pow({0}, {1})
    mod(bigint, bigint) -> bigint => ({0} % {1})
    mod(double, double) -> double => ({0} % {1})
    pi() -> double => pi()
    e() -> double => exp(CAST(1 AS DOUBLE))
    degrees(double) -> double => degrees({0})
    radians(double) -> double => radians({0})
    sin(double) -> double => sin({0})
    cos(double) -> double => cos({0})
    tan(double) -> double => tan({0})
    asin(double) -> double => asin({0})
    acos(double) -> double => acos({0})
    atan(double) -> double => atan({0})
    atan2(double, double) -> double => atan2({0}, {1})
    sinh(double) -> double => sinh({0})
    cosh(double) -> double => cosh({0})
    tanh(double) -> double => tanh({0})
    random() -> double => random()
    rand() -> double => random()
    infinity() -> double => CAST('inf' AS DOUBLE)
    nan() -> double => CAST('nan' AS DOUBLE)
    is_nan(double) -> boolean => isnan({0})
    is_finite(double) -> boolean => isfinite({0})
    is_infinite(double) -> boolean => isinf({0})
    bitwise_and(bigint, bigint) -> bigint => ({0} & {1})
    bitwise_or(bigint, bigint) -> bigint => ({0} | {1})
    bitwise_xor(bigint, bigint) -> bigint => xor({0}, {1})
    bitwise_not(bigint) -> bigint => (~{0})
""")

# Text. Positions and lengths count code points in both engines.
scalars(
    r"""
    length(varchar) -> bigint => length({0})
    char_length(varchar) -> bigint => length({0})
    character_length(varchar) -> bigint => length({0})
    length(varbinary) -> bigint => octet_length({0})
    lower(varchar) -> varchar => lower({0})
    upper(varchar) -> varchar => array_to_string(list_transform(string_split({0}, 'ß'), lambda x_: upper(x_)), 'ß')
    trim(varchar) -> varchar => trim({0}, E' \t\n\r\f\x0b')
    ltrim(varchar) -> varchar => ltrim({0}, E' \t\n\r\f\x0b')
    rtrim(varchar) -> varchar => rtrim({0}, E' \t\n\r\f\x0b')
    trim(varchar, varchar) -> varchar => trim({0}, {1})
    ltrim(varchar, varchar) -> varchar => ltrim({0}, {1})
    rtrim(varchar, varchar) -> varchar => rtrim({0}, {1})
    reverse(varchar) -> varchar => array_to_string(list_reverse(string_split({0}, '')), '')
    chr(bigint) -> varchar => chr(CAST({0} AS INTEGER))
    codepoint(varchar) -> integer => unicode({0})
    concat_ws(varchar, array(varchar)) -> varchar => array_to_string(list_filter({1}, lambda x_: x_ IS NOT NULL), {0})
    concat_ws(varchar, varchar...) -> varchar => CASE WHEN {0} IS NOT NULL THEN concat_ws({*}) END
    starts_with(varchar, varchar) -> boolean => starts_with({0}, {1})
    strpos(varchar, varchar) -> bigint => instr({0}, {1})
    replace(varchar, varchar) -> varchar => replace({0}, {1}, '')
    levenshtein_distance(varchar, varchar) -> bigint => levenshtein({0}, {1})
    hamming_distance(varchar, varchar) -> bigint => hamming({0}, {1})
    translate(varchar, varchar, varchar) -> varchar => translate({0}, {1}, {2})
    normalize(varchar) -> varchar => nfc_normalize({0})
    to_utf8(varchar) -> varbinary => encode({0})
    from_utf8(varbinary) -> varchar => decode({0})
    to_hex(varbinary) -> varchar => hex({0})
    from_hex(varchar) -> varbinary => unhex({0})
    to_base64(varbinary) -> varchar => to_base64({0})
    from_base64(varchar) -> varbinary => from_base64({0})
    md5(varbinary) -> varbinary => unhex(md5({0}))
    sha1(varbinary) -> varbinary => unhex(sha1({0}))
    sha256(varbinary) -> varbinary => unhex(sha256({0}))
    split_to_map(varchar, varchar, varchar) -> map(varchar, varchar) => \
map_from_entries(list_transform(string_split({0}, {1}), \
lambda p_: struct_pack(k := string_split(p_, {2})[1], v := string_split(p_, {2})[2])))
""".replace("\\\n", "")
)

# Date and time. `D` arguments come through `local`, so that a zone is respected.
scalars(r"""
    year(D) -> bigint => year({L0})
    quarter(D) -> bigint => quarter({L0})
    month(D) -> bigint => month({L0})
    week(D) -> bigint => weekofyear({L0})
    week_of_year(D) -> bigint => weekofyear({L0})
    day(D) -> bigint => day({L0})
    day_of_month(D) -> bigint => day({L0})
    day_of_week(D) -> bigint => isodow({L0})
    dow(D) -> bigint => isodow({L0})
    day_of_year(D) -> bigint => dayofyear({L0})
    doy(D) -> bigint => dayofyear({L0})
    year_of_week(D) -> bigint => isoyear({L0})
    yow(D) -> bigint => isoyear({L0})
    hour(D) -> bigint => hour({L0})
    minute(D) -> bigint => minute({L0})
    second(D) -> bigint => second({L0})
    millisecond(D) -> bigint => (millisecond({L0}) % 1000)
    last_day_of_month(D) -> date => last_day({L0})
    date(D) -> date => CAST({L0} AS DATE)
    to_unixtime(timestamp with time zone) -> double => (epoch_ms({0}) / CAST(1000 AS DOUBLE))
    to_unixtime(timestamp) -> double => (epoch_ms({0}) / CAST(1000 AS DOUBLE))
    from_unixtime(double) -> timestamp with time zone => timezone('UTC', epoch_ms(CAST(round({0} * 1000) AS BIGINT)))
    to_milliseconds(interval day to second) -> bigint => {0}
    now() -> timestamp with time zone => date_trunc('millisecond', now())
    to_iso8601(date) -> varchar => strftime({0}, '%Y-%m-%d')
    to_iso8601(timestamp) -> varchar => strftime({0}, '%Y-%m-%dT%H:%M:%S.%g')
""")

# Arrays and maps. Trino's three-valued `contains`, first-occurrence order of `array_distinct`, one NULL kept.
_HAS_NULL = "list_count({0}) < len({0})"
scalars(
    rf"""
    cardinality(array(T)) -> bigint => len({{0}})
    cardinality(map(K, V)) -> bigint => CAST(cardinality({{0}}) AS BIGINT)
    contains(array(T), T) -> boolean => CASE WHEN {{0}} IS NULL OR {{1}} IS NULL THEN NULL \
WHEN list_contains({{0}}, {{1}}) THEN true WHEN {_HAS_NULL} THEN NULL ELSE false END
    array_position(array(T), T) -> bigint => CASE WHEN {{0}} IS NOT NULL AND {{1}} IS NOT NULL \
THEN coalesce(list_position({{0}}, {{1}}), 0) END
    array_distinct(array(T)) -> array(T) => athena_distinct({{0}})
    array_sort(array(O)) -> array(O) => list_sort({{0}}, 'ASC', 'NULLS LAST')
    array_max(array(O)) -> O => CASE WHEN {_HAS_NULL} THEN NULL ELSE list_max({{0}}) END
    array_min(array(O)) -> O => CASE WHEN {_HAS_NULL} THEN NULL ELSE list_min({{0}}) END
    array_remove(array(T), T) -> array(T) => CASE WHEN {{1}} IS NOT NULL \
THEN list_filter({{0}}, lambda x_: x_ IS NULL OR x_ <> {{1}}) END
    array_union(array(T), array(T)) -> array(T) => CASE WHEN {{0}} IS NOT NULL AND {{1}} IS NOT NULL \
THEN athena_distinct(list_concat({{0}}, {{1}})) END
    array_intersect(array(T), array(T)) -> array(T) => CASE WHEN {{0}} IS NOT NULL AND {{1}} IS NOT NULL \
THEN list_filter(athena_distinct({{0}}), lambda x_: list_position({{1}}, x_) IS NOT NULL) END
    array_except(array(T), array(T)) -> array(T) => CASE WHEN {{0}} IS NOT NULL AND {{1}} IS NOT NULL \
THEN list_filter(athena_distinct({{0}}), lambda x_: list_position({{1}}, x_) IS NULL) END
    arrays_overlap(array(T), array(T)) -> boolean => CASE WHEN list_has_any({{0}}, {{1}}) THEN true \
WHEN {_HAS_NULL} OR list_count({{1}}) < len({{1}}) OR {{0}} IS NULL OR {{1}} IS NULL THEN NULL ELSE false END
    flatten(array(array(T))) -> array(T) => flatten({{0}})
    reverse(array(T)) -> array(T) => list_reverse({{0}})
    repeat(T, integer) -> array(T) => list_transform(range(CAST({{1}} AS BIGINT)), lambda i_: {{0}})
    trim_array(array(T), bigint) -> array(T) => {{0}}[1:len({{0}}) - {{1}}]
    array_join(array(T), varchar) -> varchar => \
array_to_string(list_filter(list_transform({{0}}, lambda x_: {{text:x_}}), lambda y_: y_ IS NOT NULL), {{1}})
    array_join(array(T), varchar, varchar) -> varchar => \
array_to_string(list_transform({{0}}, lambda x_: coalesce({{text:x_}}, {{2}})), {{1}})
    transform(array(T), function(T,U)) -> array(U) => list_transform({{0}}, {{1}})
    filter(array(T), function(T,boolean)) -> array(T) => list_filter({{0}}, {{1}})
    any_match(array(T), function(T,boolean)) -> boolean => athena_any(list_transform({{0}}, {{1}}))
    all_match(array(T), function(T,boolean)) -> boolean => athena_all(list_transform({{0}}, {{1}}))
    none_match(array(T), function(T,boolean)) -> boolean => (NOT athena_any(list_transform({{0}}, {{1}})))
    map_keys(map(K, V)) -> array(K) => map_keys({{0}})
    map_values(map(K, V)) -> array(V) => map_values({{0}})
    map_entries(map(K, V)) -> array(row(K, V)) => list_transform(map_entries({{0}}), \
lambda x_: struct_pack(field0 := x_.key, field1 := x_.value))
    map_from_entries(array(row(K, V))) -> map(K, V) => map_from_entries({{0}})
    map(array(K), array(V)) -> map(K, V) => map({{0}}, {{1}})
    map_concat(map(K, V), map(K, V)...) -> map(K, V) => map_concat({{*}})
    map_filter(map(K, V), function(K,V,boolean)) -> map(K, V) => \
map_from_entries(list_filter(map_entries({{0}}), {{pair:1}}))
    transform_values(map(K, V), function(K,V,U)) -> map(K, U) => map_from_entries(list_transform(map_entries({{0}}), \
lambda e_: struct_pack(k := e_.key, v := {{apply:1:e_}})))
    transform_keys(map(K, V), function(K,V,U)) -> map(U, V) => map_from_entries(list_transform(map_entries({{0}}), \
lambda e_: struct_pack(k := {{apply:1:e_}}, v := e_.value)))
""".replace("\\\n", "")
)

# JSON. Malformed text gives NULL in the extracting functions and an error in json_parse, as in Trino.
scalars(
    r"""
    json_parse(varchar) -> json => CAST({0} AS JSON)
    json_format(json) -> varchar => CAST({0} AS VARCHAR)
    json_array_length(json) -> bigint => \
CASE WHEN json_type({0}) = 'ARRAY' THEN CAST(json_array_length({0}) AS BIGINT) END
    json_array_length(varchar) -> bigint => CASE WHEN json_type(TRY_CAST({0} AS JSON)) = 'ARRAY' \
THEN CAST(json_array_length(TRY_CAST({0} AS JSON)) AS BIGINT) END
    is_json_scalar(json) -> boolean => (json_type({0}) NOT IN ('ARRAY', 'OBJECT'))
""".replace("\\\n", "")
)

# Regular expressions run on RE2: what only Java's engine knows (lookaround, backreferences) fails, named by RE2.
scalars(
    r"""
    regexp_like(varchar, varchar) -> boolean => regexp_matches({0}, {1})
    regexp_extract_all(varchar, varchar) -> array(varchar) => regexp_extract_all({0}, {1})
    regexp_extract_all(varchar, varchar, bigint) -> array(varchar) => regexp_extract_all({0}, {1}, CAST({2} AS INTEGER))
    regexp_replace(varchar, varchar) -> varchar => regexp_replace({0}, {1}, '', 'g')
    regexp_split(varchar, varchar) -> array(varchar) => string_split_regex({0}, {1})
    regexp_count(varchar, varchar) -> bigint => len(regexp_extract_all({0}, {1}))
""".replace("\\\n", "")
)

aggregates(
    r"""
    count() -> bigint => count(*)
    count(T) -> bigint => count({0})
    count_if(boolean) -> bigint => count(CASE WHEN {0} THEN 1 END)
    sum(I) -> bigint => CAST(sum({0}) AS BIGINT)
    sum(real) -> real => CAST(sum({0}) AS FLOAT)
    sum(double) -> double => sum({0})
    sum(interval day to second) -> interval day to second => CAST(sum({0}) AS BIGINT)
    avg(I) -> double => avg({0})
    avg(real) -> real => CAST(avg({0}) AS FLOAT)
    avg(double) -> double => avg({0})
    avg(interval day to second) -> interval day to second => CAST(round(avg({0})) AS BIGINT)
    min(O) -> O => min({0})
    max(O) -> O => max({0})
    min(O, bigint) -> array(O) => min({0}, {1})
    max(O, bigint) -> array(O) => max({0}, {1})
    max_by(T, O, bigint) -> array(T) => arg_max({0}, {1}, {2})
    min_by(T, O, bigint) -> array(T) => arg_min({0}, {1}, {2})
    max_by(T, O) -> T => arg_max_null({0}, {1})
    min_by(T, O) -> T => arg_min_null({0}, {1})
    arbitrary(T) -> T => any_value({0})
    any_value(T) -> T => any_value({0})
    array_agg(T) -> array(T) => list({0})
    bool_and(boolean) -> boolean => bool_and({0})
    bool_or(boolean) -> boolean => bool_or({0})
    every(boolean) -> boolean => bool_and({0})
    approx_distinct(T) -> bigint => approx_count_distinct({0})
    approx_distinct(T, double) -> bigint => approx_count_distinct({0})
    approx_percentile(bigint, double) -> bigint => CAST(approx_quantile({0}, CAST({1} AS FLOAT)) AS BIGINT)
    approx_percentile(double, double) -> double => approx_quantile({0}, CAST({1} AS FLOAT))
    approx_percentile(bigint, array(double)) -> array(bigint) => CAST(approx_quantile({0}, CAST({1} AS FLOAT[])) AS {R})
    approx_percentile(double, array(double)) -> array(double) => CAST(approx_quantile({0}, CAST({1} AS FLOAT[])) AS {R})
    stddev(double) -> double => stddev_samp({0})
    stddev_samp(double) -> double => stddev_samp({0})
    stddev_pop(double) -> double => stddev_pop({0})
    variance(double) -> double => var_samp({0})
    var_samp(double) -> double => var_samp({0})
    var_pop(double) -> double => var_pop({0})
    corr(double, double) -> double => athena_null_nan(corr({0}, {1}))
    covar_samp(double, double) -> double => covar_samp({0}, {1})
    covar_pop(double, double) -> double => covar_pop({0}, {1})
    regr_slope(double, double) -> double => athena_null_nan(regr_slope({0}, {1}))
    regr_intercept(double, double) -> double => athena_null_nan(regr_intercept({0}, {1}))
    geometric_mean(double) -> double => exp(avg(ln({0})))
    bitwise_and_agg(bigint) -> bigint => bit_and({0})
    bitwise_or_agg(bigint) -> bigint => bit_or({0})
    listagg(varchar) -> varchar => string_agg({0}, '')
    listagg(varchar, varchar) -> varchar => string_agg({0}, {1})
    histogram(T) -> map(T, bigint) => CAST(histogram({0}) AS {R})
    map_agg(K, V) -> map(K, V) => athena_map(list(struct_pack(k := {0}, v := {1})))
    multimap_agg(K, V) -> map(K, array(V)) => athena_multimap(list(struct_pack(k := {0}, v := {1})))
    map_union(map(K, V)) -> map(K, V) => athena_map(flatten(list_transform(list({0}), \
lambda m_: list_transform(map_entries(m_), lambda x_: struct_pack(k := x_.key, v := x_.value)))))
""".replace("\\\n", "")
)

windows(r"""
    row_number() -> bigint => row_number()
    rank() -> bigint => rank()
    dense_rank() -> bigint => dense_rank()
    percent_rank() -> double => percent_rank()
    cume_dist() -> double => cume_dist()
    ntile(bigint) -> bigint => ntile({0})
    lag(T) -> T => lag({0}{nulls})
    lag(T, bigint) -> T => lag({0}, {1}{nulls})
    lag(T, bigint, T) -> T => lag({0}, {1}, {2}{nulls})
    lead(T) -> T => lead({0}{nulls})
    lead(T, bigint) -> T => lead({0}, {1}{nulls})
    lead(T, bigint, T) -> T => lead({0}, {1}, {2}{nulls})
    first_value(T) -> T => first_value({0}{nulls})
    last_value(T) -> T => last_value({0}{nulls})
    nth_value(T, bigint) -> T => nth_value({0}, {1}{nulls})
""")

# DuckDB macros that the templates above use.
MACROS = r"""
CREATE MACRO athena_distinct(a) AS list_filter(a, lambda x_, i_: list_position(a, x_) = i_);
CREATE MACRO athena_any(b) AS
    CASE WHEN b IS NULL THEN NULL WHEN list_contains(b, true) THEN true
         WHEN list_count(b) < len(b) THEN NULL ELSE false END;
CREATE MACRO athena_all(b) AS
    CASE WHEN b IS NULL THEN NULL WHEN list_contains(b, false) THEN false
         WHEN list_count(b) < len(b) THEN NULL ELSE true END;
CREATE MACRO athena_null_nan(x) AS CASE WHEN NOT isnan(x) THEN x END;
CREATE MACRO athena_keys(e) AS list_distinct(list_transform(e, lambda p_: p_.k));
CREATE MACRO athena_map(e) AS
    CASE WHEN len(athena_keys(e)) = len(e) THEN map_from_entries(e)
         ELSE map_from_entries(list_transform(athena_keys(e),
                  lambda k_: e[list_position(list_transform(e, lambda p_: p_.k), k_)])) END;
CREATE MACRO athena_multimap(e) AS
    map_from_entries(list_transform(athena_keys(e), lambda k_: struct_pack(
        k := k_, v := list_transform(list_filter(e, lambda p_: p_.k = k_), lambda p_: p_.v))));
"""

# In Athena, not here: refused by name rather than approximated.
UNSUPPORTED = frozenset(
    """
    approx_most_frequent approx_set array_histogram bar beta_cdf bing_tile bit_count char2hexint checksum
    classify color combinations contains_sequence convex_hull_agg cosine_similarity crc32 current_groups date_parse_tz
    empty_approx_set entropy evaluate_classifier_predictions find_first format format_number from_base from_base32
    from_base64url from_big_endian_32 from_big_endian_64 from_encoded_polyline from_geojson_geometry from_ieee754_32
    from_ieee754_64 from_iso8601_timestamp_nanos geometry_union great_circle_distance hmac_md5 hmac_sha1 hmac_sha256
    hmac_sha512 human_readable_seconds index intersection_cardinality inverse_beta_cdf inverse_normal_cdf
    jaccard_index json_exists json_query json_value kurtosis learn_classifier line_locate_point luhn_check
    make_set_digest map_zip_with merge multimap_from_entries murmur3 ngrams normal_cdf numeric_histogram
    parse_data_size parse_duration parse_presto_data_size qdigest_agg quantile_at_value reduce_agg regexp_position
    render rgb sha512 shuffle simplify_geometry skewness soundex spatial_partitions spooky_hash_v2_32
    spooky_hash_v2_64 st_area st_asbinary st_astext st_buffer st_centroid st_contains st_distance st_geometryfromtext
    st_intersects st_point st_polygon st_within st_x st_y split_to_multimap tdigest_agg timezone_hour
    timezone_minute to_base to_base32 to_base64url to_big_endian_32 to_big_endian_64 to_geojson_geometry
    to_ieee754_32 to_ieee754_64 url_decode url_encode url_extract_fragment url_extract_host url_extract_parameter
    url_extract_path url_extract_port url_extract_protocol url_extract_query uuid value_at_quantile
    values_at_quantiles wilson_interval_lower wilson_interval_upper with_timezone word_stem xxhash64 current_user
    """.split()  # noqa: SIM905 - a long list of names reads best as text
)


def resolve(
    name: str, table: dict[str, list[Function]], arguments: list[Expr | None]
) -> tuple[Function, dict[str, Type]]:
    """The overload that takes the arguments (None stands for a lambda), and what its type variables are.

    Raises:
        SqlError: FUNCTION_NOT_FOUND lists the signatures there are.
    """
    for exact in (True, False):
        for function in table[name]:
            bindings = _match(function, arguments, exact=exact)
            if bindings is not None:
                return function, bindings
    shown = ", ".join("function" if a is None else str(a.type) for a in arguments)
    expected = ", ".join(str(f) for f in table[name])
    raise SqlError("FUNCTION_NOT_FOUND", f"Unexpected parameters ({shown}) for function {name}. Expected: {expected}")


def _match(function: Function, arguments: list[Expr | None], *, exact: bool) -> dict[str, Type] | None:
    parameters = list(function.parameters)
    if function.variadic and len(arguments) >= len(parameters) - 1:
        parameters += [parameters[-1]] * (len(arguments) - len(parameters))
        parameters = parameters[: len(arguments)]
    if len(parameters) != len(arguments):
        return None
    bindings: dict[str, Type] = {}
    for parameter, argument in zip(parameters, arguments, strict=True):
        if (argument is None) != (parameter.name == "function"):
            return None
        if argument is not None and not _bind(parameter, argument.type, bindings, exact=exact):
            return None
    return bindings


def _bind(pattern: Type, actual: Type, bindings: dict[str, Type], *, exact: bool) -> bool:
    variable = pattern.name
    if len(variable) == 1 and variable.isupper():
        allowed = {"N": t.NUMBERS, "I": t.INTEGERS, "D": ("date", "timestamp", "timestamp with time zone")}.get(
            variable
        )
        known = bindings.get(variable)
        if known is None:
            if allowed and actual.name not in allowed:
                return actual.name == "unknown" and not exact and _set(bindings, variable, t.BIGINT)
            return _set(bindings, variable, actual)
        common = t.common_type(known, actual)
        return common is not None and (not exact or known == actual) and _set(bindings, variable, common)
    if pattern.args:
        if actual.name == "unknown":
            return not exact and all(_bind(p, t.UNKNOWN, bindings, exact=False) for p in pattern.args)
        return (
            actual.name == pattern.name
            and len(actual.args) == len(pattern.args)
            and all(_bind(p, a, bindings, exact=exact) for p, a in zip(pattern.args, actual.args, strict=True))
        )
    if actual.name == pattern.name:
        return True
    return not exact and (actual.name == "unknown" or t.coercible(actual, pattern))


def _set(bindings: dict[str, Type], variable: str, of: Type) -> bool:
    bindings[variable] = of
    return True


def substitute(pattern: Type, bindings: dict[str, Type]) -> Type:
    """A signature's type with its variables filled in."""
    if pattern.name in bindings:
        return bindings[pattern.name]
    if pattern.args:
        args = tuple(substitute(a, bindings) for a in pattern.args)
        return Type(pattern.name, args, pattern.names)
    return pattern
