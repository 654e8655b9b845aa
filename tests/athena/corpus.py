"""The parity corpus: Athena SQL, and what Athena (Trino) answers, worked out by hand from its documented semantics.

Values stand as GetQueryResults shows them: text, or None for NULL. `types` are ColumnInfo types. A case that must fail
gives the part of the reason that names what is wrong. The tables are made in conftest.py.
"""

# ruff: noqa: E501 - a case is one line of a table

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Case:
    sql: str
    rows: list[list[str | None]]
    columns: str = ""  # names, space separated; not checked where empty
    types: str = ""


@dataclass(frozen=True)
class Failure:
    sql: str
    reason: str


def one(sql: str, *cells: str | None, types: str = "") -> Case:
    """A query with one result row."""
    return Case(sql, [list(cells)], types=types)


NUMBERS = [
    Case(
        "SELECT 7/2, -7/2, 7%3, -7%3",
        [["3", "-3", "1", "-1"]],
        "_col0 _col1 _col2 _col3",
        "integer integer integer integer",
    ),
    one("SELECT 7/2.0, 7/2e0, 2.0/3, -1.0/3", "3.5", "3.5", "0.7", "-0.3", types="decimal double decimal decimal"),
    one("SELECT 1.5 + 2.25, 1.5 * 2.25, 1.5 - 2.25, 5.5 % 2", "3.75", "3.375", "-0.75", "1.5"),
    one("SELECT 1e0/0, -1e0/0, 0e0/0", "Infinity", "-Infinity", "NaN", types="double double double"),
    Failure("SELECT 1/0", "DIVISION_BY_ZERO"),
    Failure("SELECT id / (id - id) FROM trip", "DIVISION_BY_ZERO"),
    Failure("SELECT 1.0/0", "DIVISION_BY_ZERO"),
    Failure("SELECT 5 % 0", "DIVISION_BY_ZERO"),
    one("SELECT try(1/0), coalesce(try(1/0), 9)", None, "9"),
    Failure("SELECT 2147483647 + 1", "NUMERIC_VALUE_OUT_OF_RANGE: integer addition overflow"),
    one("SELECT 2147483648 + 1", "2147483649", types="bigint"),
    Failure("SELECT 9223372036854775807 + id FROM trip", "NUMERIC_VALUE_OUT_OF_RANGE: bigint addition overflow"),
    Failure("SELECT sum(x) FROM (VALUES 9223372036854775807, 1) t(x)", "NUMERIC_VALUE_OUT_OF_RANGE"),
    Failure("SELECT cast(300 AS tinyint)", "NUMERIC_VALUE_OUT_OF_RANGE"),
    one(
        "SELECT 1e7, 1e-4, 0.001e0, 123456789.125e0, 100e0, 1e21",
        "1.0E7",
        "1.0E-4",
        "0.001",
        "1.23456789125E8",
        "100.0",
        "1.0E21",
    ),
    one("SELECT cast(1.5e0 AS varchar), cast(0e0 AS varchar), cast(12345e0 AS varchar)", "1.5E0", "0E0", "1.2345E4"),
    one("SELECT round(2.5), round(-2.5), round(2.5e0), round(1.255, 2)", "3", "-3", "3.0", "1.260"),
    one(
        "SELECT ceil(1.2), floor(-1.2), ceil(5), truncate(-2.7e0), abs(-3), sign(-2)", "2", "-2", "5", "-2.0", "3", "-1"
    ),
    one("SELECT mod(7, 3), power(2, 3), sqrt(-1), ln(1), log2(8), cbrt(27)", "1", "8.0", "NaN", "0.0", "3.0", "3.0"),
    one("SELECT greatest(1, 2.5), least(1, null), greatest('a', 'b')", "2.5", None, "b"),
    one("SELECT width_bucket(3.14, 0, 4, 3), width_bucket(-1, 0, 4, 3), width_bucket(4, 0, 4, 3)", "3", "0", "4"),
    one("SELECT width_bucket(3, ARRAY[1, 2, 4]), width_bucket(0, ARRAY[1, 2, 4])", "2", "0"),
    Failure("SELECT width_bucket(1, 2, 2, 3)", "bounds cannot equal each other"),
    one("SELECT bitwise_and(12, 10), bitwise_or(12, 10), bitwise_xor(12, 10)", "8", "14", "6"),
    one(
        "SELECT nan() = nan(), nan() <> nan(), nan() > 1e0, 1e0 < nan(), 1e0 = 1e0, infinity() > 1e0",
        "false",
        "true",
        "false",
        "false",
        "true",
        "true",
    ),
    one("SELECT is_nan(nan()), is_infinite(infinity()), is_finite(1e0)", "true", "true", "true"),
    Failure("SELECT 1 + 'a'", "TYPE_MISMATCH: line 1:8: Cannot apply operator: integer + varchar(1)"),
    Failure("SELECT -'a'", "TYPE_MISMATCH"),
]

CASTS = [
    one("SELECT cast('5' AS bigint), try_cast('5x' AS bigint), try_cast('1.5' AS integer)", "5", None, None),
    Failure("SELECT cast('1.5' AS bigint)", "INVALID_CAST_ARGUMENT: Cannot cast '1.5' to BIGINT"),
    Failure("SELECT cast(' 5' AS integer)", "INVALID_CAST_ARGUMENT"),
    one("SELECT cast(2.5e0 AS bigint), cast(-2.5e0 AS bigint), cast(2.4 AS integer)", "3", "-3", "2"),
    one("SELECT cast('1.255' AS decimal(4,2)), cast(1.255 AS decimal(4,2)), cast(7 AS decimal(3,1))", "1.26", "1.26", "7.0"),
    Failure("SELECT cast(123.456 AS decimal(3,1))", "NUMERIC_VALUE_OUT_OF_RANGE"),
    one("SELECT cast('true' AS boolean), cast(0 AS boolean), cast(true AS integer), cast('F' AS boolean)", "true", "false", "1", "false"),
    Failure("SELECT cast('yes' AS boolean)", "INVALID_CAST_ARGUMENT"),
    one("SELECT cast('abcdef' AS varchar(3)), cast(12 AS varchar), cast(date '2026-03-01' AS varchar)", "abc", "12", "2026-03-01"),
    Failure("SELECT cast('2026-03-01T10:00:00' AS timestamp)", "INVALID_CAST_ARGUMENT: Value cannot be cast to timestamp"),
    one("SELECT cast('2026-03-01 10:00' AS timestamp), cast(timestamp '2026-03-01 10:00:00' AS date)", "2026-03-01 10:00:00.000", "2026-03-01"),
    one("SELECT cast(ROW(1, 'x') AS ROW(n bigint, s varchar)).s, ROW(1, 'x')[1]", "x", "1"),
    one("SELECT cast(ARRAY['1', null] AS array(bigint)), cast(MAP(ARRAY[1], ARRAY['2']) AS map(varchar, integer))", "[1, null]", "{1=2}"),
    Failure("SELECT cast(1 AS date)", "TYPE_MISMATCH: line 1:8: Cannot cast integer to date"),
    one("SELECT typeof(1), typeof(1.50), typeof('ab'), typeof(null), typeof(ARRAY[1e0])", "integer", "decimal(3,2)", "varchar(2)", "unknown", "array(double)"),
]  # fmt: skip

TEXT = [
    one("SELECT 'a' || 'b', concat('a', null), concat_ws(',', 'a', null, 'b')", "ab", None, "a,b"),
    one("SELECT substr('hello', 2, 3), substr('hello', -3), substr('hello', 0), substr('hello', -9)", "ell", "llo", "", ""),
    one("SELECT split('a,b,c', ','), split('a,b,c', ',', 2), split_part('a,b', ',', 2), split_part('a,b', ',', 3)", "[a, b, c]", "[a, b,c]", "b", None),
    Failure("SELECT split_part('a', ',', 0)", "Index must be greater than zero"),
    one("SELECT length('añb'), upper('ß1'), lower('ÀB'), reverse('abc'), trim('  x\t'), strpos('abc', 'c'), strpos('abc', 'z')", "3", "ß1", "àb", "cba", "x", "3", "0"),
    one("SELECT lpad('7', 3, '0'), rpad('ab', 1, 'x'), replace('abcb', 'b'), replace('abc', 'b', 'xx')", "007", "a", "ac", "axxc"),
    one("SELECT regexp_like('1a 2b', '\\d+b'), regexp_extract('1a 2b', '\\d+([a-z])', 1), regexp_extract('x', '\\d')", "true", "a", None),
    one("SELECT regexp_replace('1a 2b', '(\\d)([ab])', '$2$1'), regexp_extract_all('1a 2b', '\\d'), regexp_count('1a 2b', '\\d')", "a1 b2", "[1, 2]", "2"),
    one("SELECT regexp_extract('ab', '(x)?b'), regexp_extract('abc', 'a(b|c)', 1)", "b", "b"),
    Failure("SELECT regexp_extract('b', '(x)?b', 1)", "a group that may have matched nothing"),
    Failure("SELECT split('a', '')", "The delimiter may not be the empty string"),
    Failure("SELECT sequence(1, 10001)", "must not have more than 10000 entries"),
    Failure("SELECT try((SELECT 1))", "A subquery inside TRY or a lambda"),
    Failure("SELECT regexp_like('a', '(?=a)')", "invalid perl operator"),
    one("SELECT 'abc' LIKE 'a%', 'a_c' LIKE 'a!_c' ESCAPE '!', 'abc' LIKE 'a!_c' ESCAPE '!', 'x' NOT LIKE 'y'", "true", "true", "false", "true"),
    one("SELECT 'B' < 'a', 'a' < 'b', 'a' = 'a '", "true", "true", "false"),
    one("SELECT starts_with('abc', 'ab'), levenshtein_distance('kitten', 'sitting'), translate('abcd', 'ab', 'x')", "true", "3", "xcd"),
    one("SELECT to_hex(md5(to_utf8('a'))), from_utf8(from_hex('41')), to_base64(to_utf8('hi')), x'41ff'", "0CC175B9C0F1B6A831C399E269772661", "A", "aGk=", "41 ff"),
    one("SELECT '', null, 'a\"b', 'x,y'", "", None, 'a"b', "x,y"),
    one("SELECT split_to_map('a=1;b=2', ';', '='), codepoint('a'), chr(98)", "{a=1, b=2}", "97", "b"),
    one("SELECT position('b' IN 'abc'), substring('abcd' FROM 2 FOR 2), trim(LEADING 'x' FROM 'xxa')", "2", "bc", "a"),
]  # fmt: skip

DATES = [
    one("SELECT date_diff('day', timestamp '2026-03-01 23:00:00', timestamp '2026-03-02 01:00:00')", "0", types="bigint"),
    one("SELECT date_diff('day', date '2026-03-01', date '2026-03-02'), date_diff('hour', timestamp '2026-03-01 00:00:00', timestamp '2026-03-02 12:00:00')", "1", "36"),
    one("SELECT date_diff('month', date '2026-01-15', date '2026-03-14'), date_diff('year', date '2025-03-02', date '2026-03-01')", "1", "0"),
    one("SELECT date_add('month', 1, date '2026-01-31'), date_add('hour', 30, timestamp '2026-03-01 00:00:00')", "2026-02-28", "2026-03-02 06:00:00.000"),
    Failure("SELECT date_add('hour', 1, date '2026-01-31')", "'hour' is not a valid DATE field"),
    one("SELECT date_trunc('week', date '2026-03-05'), date_trunc('hour', timestamp '2026-03-05 10:59:59')", "2026-03-02", "2026-03-05 10:00:00.000", types="date timestamp"),
    one("SELECT date '2026-03-31' - interval '1' month, date '2026-03-01' + interval '2' day", "2026-02-28", "2026-03-03"),
    one("SELECT timestamp '2026-03-02 00:00:00' - timestamp '2026-03-01 12:30:00', interval '90' minute, interval '14' month", "0 11:30:00.000", "0 01:30:00.000", "1-2"),
    one("SELECT format_datetime(timestamp '2026-03-01 04:05:06', 'yyyy/MM/dd HH:mm'), date_format(timestamp '2026-03-01 16:05:06', '%Y-%m-%d %h:%i %p')", "2026/03/01 04:05", "2026-03-01 04:05 PM"),
    one("SELECT date_parse('01.03.2026 10:20', '%d.%m.%Y %H:%i'), parse_datetime('2026-03-01', 'yyyy-MM-dd')", "2026-03-01 10:20:00.000", "2026-03-01 00:00:00.000 UTC", types="timestamp timestamp with time zone"),
    Failure("SELECT date_parse('x', '%Y')", "INVALID_FUNCTION_ARGUMENT"),
    Failure("SELECT date_format(timestamp '2026-03-01 00:00:00', '%U')", "NOT_SUPPORTED: line 1:8: Date format '%U'"),
    one("SELECT from_unixtime(1767225600), to_unixtime(timestamp '1970-01-01 00:00:01.500')", "2026-01-01 00:00:00.000 UTC", "1.5"),
    one("SELECT from_iso8601_timestamp('2026-03-01T10:20:30.191Z'), from_iso8601_date('2026-03-01')", "2026-03-01 10:20:30.191 UTC", "2026-03-01"),
    one("SELECT to_iso8601(from_unixtime(0)), to_iso8601(date '2026-03-01')", "1970-01-01T00:00:00.000Z", "2026-03-01"),
    one("SELECT from_unixtime(0) AT TIME ZONE 'America/New_York', hour(from_unixtime(0) AT TIME ZONE 'America/New_York')", "1969-12-31 19:00:00.000 America/New_York", "19"),
    one("SELECT year(d), month(d), day(d), quarter(d), day_of_week(d), day_of_year(d), week(d), year_of_week(d) FROM (VALUES date '2027-01-01') t(d)", "2027", "1", "1", "1", "5", "1", "53", "2026"),
    one("SELECT extract(minute FROM timestamp '2026-03-01 10:20:30'), last_day_of_month(date '2028-02-03'), date('2026-03-01')", "20", "2028-02-29", "2026-03-01"),
    Failure("SELECT date '2026-02-30'", "INVALID_CAST_ARGUMENT"),
    Failure("SELECT date '2026-03-01' = '2026-03-01'", "Cannot apply operator: date = varchar(10)"),
    one("SELECT date '2026-03-01' = timestamp '2026-03-01 00:00:00'", "true"),
]  # fmt: skip

NESTED = [
    one("SELECT ARRAY[1, null, 3], MAP(ARRAY['a'], ARRAY[1.5]), ROW(1, 'x', null)", "[1, null, 3]", "{a=1.5}", "{field0=1, field1=x, field2=null}", types="array map row"),
    one("SELECT ARRAY[10, 20][2], element_at(ARRAY[10, 20], 3), element_at(ARRAY[10, 20], -1)", "20", None, "20"),
    Failure("SELECT ARRAY[10, 20][3]", "Array subscript must be less than or equal to array length: 3 > 2"),
    Failure("SELECT ARRAY[10, 20][0]", "SQL array indices start at 1"),
    one("SELECT element_at(MAP(ARRAY['a'], ARRAY[1]), 'b'), try(MAP(ARRAY['a'], ARRAY[1])['b'])", None, None),
    Failure("SELECT MAP(ARRAY['a'], ARRAY[1])['b']", "Key not present in map: b"),
    Failure("SELECT tags[2] FROM trip WHERE id = 4", "Array subscript must be less than or equal to array length: 2 > 1"),
    one("SELECT transform(ARRAY[1, 2], x -> x * 10), filter(ARRAY[1, null, 3], x -> x > 1), reduce(ARRAY[1, 2, 3], 0, (s, x) -> s + x, s -> s * 2)", "[10, 20]", "[3]", "12"),
    one("SELECT reduce(ARRAY[], 5, (s, x) -> s, s -> s), reduce(ARRAY[1, 2], '', (s, x) -> s || cast(x AS varchar), s -> s)", "5", "12"),
    one("SELECT contains(ARRAY[1, null], 1), contains(ARRAY[1, null], 2), contains(ARRAY[1, 2], 3)", "true", None, "false"),
    one("SELECT array_distinct(ARRAY[2, 1, 2, null, null]), array_sort(ARRAY[3, null, 1]), array_max(ARRAY[1, null]), array_min(ARRAY[2, 1])", "[2, 1, null]", "[1, 3, null]", None, "1"),
    one("SELECT array_join(ARRAY[1, null, 2], '-'), array_join(ARRAY[1, null], '-', '?'), array_position(ARRAY['a', 'b'], 'b')", "1-2", "1-?", "2"),
    one("SELECT slice(ARRAY[1, 2, 3, 4], 2, 2), slice(ARRAY[1, 2, 3], -2, 2), flatten(ARRAY[ARRAY[1], ARRAY[2, 3]])", "[2, 3]", "[2, 3]", "[1, 2, 3]"),
    one("SELECT sequence(1, 3), sequence(3, 1), sequence(1, 6, 2), sequence(date '2026-02-27', date '2026-03-01')", "[1, 2, 3]", "[3, 2, 1]", "[1, 3, 5]", "[2026-02-27, 2026-02-28, 2026-03-01]"),
    one("SELECT ARRAY[1] || ARRAY[2], ARRAY[1] || 2, 0 || ARRAY[1]", "[1, 2]", "[1, 2]", "[0, 1]"),
    one("SELECT array_union(ARRAY[1, 2], ARRAY[2, 3]), array_intersect(ARRAY[1, 2], ARRAY[2, 3]), array_except(ARRAY[1, 2], ARRAY[2])", "[1, 2, 3]", "[2]", "[1]"),
    one("SELECT any_match(ARRAY[1, 2], x -> x > 1), all_match(ARRAY[1, 2], x -> x > 1), none_match(ARRAY[1], x -> x > 1)", "true", "false", "true"),
    one("SELECT zip(ARRAY[1, 2], ARRAY['a']), zip_with(ARRAY[1, 2], ARRAY[3, 4], (x, y) -> x + y)", "[{field0=1, field1=a}, {field0=2, field1=null}]", "[4, 6]"),
    one("SELECT map_keys(MAP(ARRAY['a', 'b'], ARRAY[1, 2])), map_filter(MAP(ARRAY[1, 2], ARRAY['a', 'b']), (k, v) -> k > 1), transform_values(MAP(ARRAY[1], ARRAY[10]), (k, v) -> k + v)", "[a, b]", "{2=b}", "{1=11}"),
    one("SELECT map_concat(MAP(ARRAY[1], ARRAY['a']), MAP(ARRAY[1], ARRAY['b'])), cardinality(MAP(ARRAY[1, 2], ARRAY[0, 0])), cardinality(ARRAY[])", "{1=b}", "2", "0"),
    Failure("SELECT MAP(ARRAY[1, 1], ARRAY[2, 3])", "Map keys must be unique"),
    one("SELECT ARRAY[1, 2] = ARRAY[1, 2], ARRAY[1, null] = ARRAY[1, null], ARRAY[1, null] = ARRAY[2, null], ROW(1, null) = ROW(1, 2)", "true", None, "false", None),
    one("SELECT (1, 2) IN ((1, 2), (3, 4)), ROW(1, 2) = ROW(1, 3)", "true", "false"),
    Case("SELECT * FROM UNNEST(ARRAY[1, 2], ARRAY['a']) AS t(n, s)", [["1", "a"], ["2", None]], "n s", "integer varchar"),
    Case("SELECT k, v, n FROM UNNEST(MAP(ARRAY['a', 'b'], ARRAY[1, 2])) WITH ORDINALITY AS t(k, v, n) ORDER BY n DESC", [["b", "2", "2"], ["a", "1", "1"]]),
    Case("SELECT * FROM UNNEST(ARRAY[ROW(1, 'x'), ROW(2, 'y')]) AS t(a, b)", [["1", "x"], ["2", "y"]], "a b", "integer varchar"),
    Case("SELECT r FROM UNNEST(ARRAY[ROW(1, 'x')]) AS t(r)", [["{field0=1, field1=x}"]], "r", "row"),
    Failure("SELECT * FROM UNNEST(ARRAY[ROW(1, 2, 3)]) AS t(a, b)", "Column alias list has 2 entries but 't' has 3 columns available"),
    Failure("SELECT * FROM UNNEST(5) AS t(a)", "Cannot unnest type: integer"),
    Case("SELECT id, tag FROM trip CROSS JOIN UNNEST(tags) AS t(tag) ORDER BY id, tag", [["1", "card"], ["1", "night"], ["4", "card"], ["5", "day"], ["5", None]]),
    Case("SELECT id, tag FROM trip LEFT JOIN UNNEST(tags) AS t(tag) ON true WHERE id IN (2, 3, 4) ORDER BY id", [["2", None], ["3", None], ["4", "card"]]),
    Case("SELECT id, driver.name, driver.age FROM trip WHERE driver IS NOT NULL ORDER BY 1", [["1", "Ann", "41"], ["2", "Bo", "29"], ["4", "Cy", None], ["5", "Di", "33"]], "id name age", "bigint varchar integer"),
    Case("SELECT id, element_at(extra, 'vehicle_type') AS kind FROM trip ORDER BY id", [["1", "Car"], ["2", None], ["3", "Van"], ["4", None], ["5", None]]),
    Case("SELECT t.id, k, v FROM trip t, UNNEST(t.extra) AS e(k, v) WHERE t.id < 4 ORDER BY 1, 2", [["1", "moving", "Dynamic"], ["1", "vehicle_type", "Car"], ["3", "vehicle_type", "Van"]]),
    Failure("SELECT extra.vehicle_type FROM trip", "Expression is not of type ROW"),
]  # fmt: skip

JSON = [
    one("""SELECT json_extract_scalar('{"a":{"b":[1,"x"]}}', '$.a.b[1]'), json_extract('{"a":{"b":[1]}}', '$.a'), json_extract_scalar('{"a":{}}', '$.a')""", "x", '{"b":[1]}', None),
    one("""SELECT json_extract_scalar('not json', '$.a'), json_extract_scalar('{"a":null}', '$.a'), json_extract_scalar('{"a b":1}', '$["a b"]')""", None, None, "1"),
    Failure("SELECT json_parse('not json')", "INVALID"),
    Failure("""SELECT json_extract('{}', '$..a')""", "JSON path '$..a' is not supported"),
    one("SELECT json_array_length('[1,2]'), json_array_length('{}'), json_size('{\"a\":[1,2,3]}', '$.a'), json_array_get('[\"a\",7]', 1), json_array_contains('[1,2]', 2)", "2", None, "3", "7", "true"),
    one("""SELECT cast(json_parse('{"a":1,"b":null}') AS map(varchar, bigint)), cast(json_parse('[1,"2"]') AS array(integer)), cast(json_parse('{"n":1,"s":"x"}') AS ROW(n bigint, s varchar))""", "{a=1, b=null}", "[1, 2]", "{n=1, s=x}"),
    one("SELECT json_format(cast(MAP(ARRAY['b', 'a'], ARRAY[1, 2]) AS json)), cast(ARRAY['x', null] AS json), json_format(json '{\"k\":true}')", '{"a":2,"b":1}', '["x",null]', '{"k":true}'),
]  # fmt: skip

QUERIES = [
    Case("SELECT count(*), count(fare), sum(fare), avg(fare), min(km), max(city) FROM trip", [["5", "4", "137.74", "34.44", "0.0", "Rome"]], "_col0 _col1 _col2 _col3 _col4 _col5", "bigint bigint decimal decimal double varchar"),
    Case("SELECT city, count(*) AS n FROM trip GROUP BY city ORDER BY n DESC, city", [["Oslo", "2"], ["Rome", "2"], [None, "1"]], "city n", "varchar bigint"),
    Case("SELECT fare FROM trip ORDER BY fare", [["7.25"], ["10.50"], ["20.00"], ["99.99"], [None]]),
    Case("SELECT fare FROM trip ORDER BY fare DESC", [["99.99"], ["20.00"], ["10.50"], ["7.25"], [None]]),
    Case("SELECT id FROM trip ORDER BY fare DESC NULLS FIRST LIMIT 2", [["4"], ["5"]]),
    Case("SELECT id FROM trip ORDER BY id OFFSET 1 LIMIT 2", [["2"], ["3"]]),
    Case("SELECT id FROM trip ORDER BY id FETCH FIRST 2 ROWS ONLY", [["1"], ["2"]]),
    Failure("SELECT id FROM trip ORDER BY id FETCH FIRST 1 ROW WITH TIES", "WITH TIES is not supported"),
    Case("SELECT ID, \"City\" FROM TRIP WHERE CITY = 'Oslo' ORDER BY Id", [["1", "Oslo"], ["2", "Oslo"]], "id city"),
    Case("SELECT DISTINCT city FROM trip ORDER BY city", [["Oslo"], ["Rome"], [None]]),
    Failure("SELECT DISTINCT city FROM trip ORDER BY id", "For SELECT DISTINCT, ORDER BY expressions must appear in select list"),
    Failure("SELECT city, fare FROM trip GROUP BY city", "'fare' must be an aggregate expression or appear in GROUP BY clause"),
    Failure("SELECT city FROM trip GROUP BY town", "COLUMN_NOT_FOUND: line 1:32: Column 'town' cannot be resolved"),
    Failure("SELECT count(*) AS n FROM trip GROUP BY city HAVING n > 1", "COLUMN_NOT_FOUND"),
    Failure("SELECT sum(count(*)) FROM trip", "Cannot nest aggregations"),
    Case("SELECT city, sum(km) FILTER (WHERE km > 1) FROM trip GROUP BY 1 HAVING count(*) > 1 ORDER BY 1", [["Oslo", "9.5"], ["Rome", None]]),
    Case("SELECT city, year(started), count(*) FROM trip GROUP BY GROUPING SETS ((city), (year(started)), ()) ORDER BY 3, 1, 2", [[None, None, "1"], ["Oslo", None, "2"], ["Rome", None, "2"], [None, "2026", "5"], [None, None, "5"]]),
    Case("SELECT city, grouping(city), count(*) FROM trip WHERE city IS NOT NULL GROUP BY ROLLUP (city) ORDER BY 2, 1", [["Oslo", "0", "2"], ["Rome", "0", "2"], [None, "1", "4"]]),
    Case("SELECT a, b, count(*) FROM (VALUES (1, 2), (1, 3)) t(a, b) GROUP BY CUBE (a, b) ORDER BY 1, 2", [["1", "2", "1"], ["1", "3", "1"], ["1", None, "2"], [None, "2", "1"], [None, "3", "1"], [None, None, "2"]]),
    Case("SELECT id, rank() OVER (PARTITION BY city ORDER BY km DESC), sum(id) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM trip WHERE city = 'Oslo' ORDER BY id", [["1", "2", "1"], ["2", "1", "3"]], types="bigint bigint bigint"),
    Case("SELECT id, lag(km) OVER (ORDER BY id), lead(id, 1, 0) OVER (ORDER BY id), first_value(id) OVER (ORDER BY id DESC) FROM trip WHERE id < 4 ORDER BY id", [["1", None, "2", "3"], ["2", "2.5", "3", "3"], ["3", "7.0", "0", "3"]]),
    Case("SELECT city, count(*), sum(count(*)) OVER () FROM trip GROUP BY city ORDER BY city", [["Oslo", "2", "5"], ["Rome", "2", "5"], [None, "1", "5"]]),
    Case("SELECT id, row_number() OVER w FROM trip WHERE id < 3 WINDOW w AS (ORDER BY id DESC) ORDER BY id", [["1", "2"], ["2", "1"]]),
    Failure("SELECT row_number() FROM trip", "Window function row_number requires OVER clause"),
    one("SELECT max_by(id, km), min_by(city, fare), max_by(id, km, 2), arbitrary(city) FROM trip WHERE city = 'Oslo'", "2", "Oslo", "[2, 1]", "Oslo"),
    one("SELECT array_agg(id ORDER BY id DESC), listagg(city, '+') WITHIN GROUP (ORDER BY id), count(DISTINCT city), approx_distinct(city) FROM trip", "[5, 4, 3, 2, 1]", "Oslo+Oslo+Rome+Rome", "2", "2"),
    one("SELECT map_agg(city, id) FROM trip WHERE id IN (2, 3)", "{Oslo=2, Rome=3}"),
    one("SELECT histogram(x) FROM (VALUES 'a', 'b', 'a') t(x) HAVING histogram(x) IS NOT NULL", "{a=2, b=1}"),
    one("SELECT bool_and(km > 1), bool_or(km > 1), every(km >= 0), count_if(km > 1) FROM trip", "false", "true", "true", "3"),
    one("SELECT approx_percentile(x, 0.5), stddev(x), variance(x), round(corr(x, x), 9) FROM UNNEST(sequence(1, 5)) t(x)", "3", "1.5811388300841898", "2.5", "1.0", types="bigint double double double"),
    one("SELECT repeat('x', 2), count_if(false), geometric_mean(x) FROM (VALUES 2, 8) t(x)", "[x, x]", "0", "4.0"),
    one("SELECT sum(cast(1 AS integer)), avg(1), sum(cast(1.5 AS real)), count(null)", "1", "1.0", "1.5", "0", types="bigint double float bigint"),
    Case("SELECT a.id, b.id FROM trip a JOIN trip b ON a.city = b.city AND a.id < b.id ORDER BY 1", [["1", "2"], ["3", "4"]], "id id"),
    Case("SELECT * FROM (VALUES (1, 'a')) x(k, p) FULL JOIN (VALUES (2, 'b')) y(k, q) USING (k) ORDER BY k", [["1", "a", None], ["2", None, "b"]], "k p q"),
    Case("SELECT x.k, q FROM (VALUES (1, 'a'), (2, 'c')) x(k, p) LEFT JOIN (VALUES (2, 'b')) y(k, q) ON x.k = y.k ORDER BY 1", [["1", None], ["2", "b"]]),
    Failure("SELECT k FROM (VALUES 1) x(k), (VALUES 1) y(k)", "AMBIGUOUS_NAME: line 1:8: Column 'k' is ambiguous"),
    Failure("SELECT 1 FROM trip NATURAL JOIN trip", "NATURAL JOIN is not supported"),
    Case("SELECT id FROM trip t WHERE EXISTS (SELECT 1 FROM worker w WHERE w.id = t.id) AND id NOT IN (SELECT 1) ORDER BY id", [["2"], ["3"]]),
    one("SELECT (SELECT max(km) FROM trip), (SELECT city FROM trip WHERE id = 9)", "7.0", None),
    Failure("SELECT (SELECT id FROM trip)", "Scalar sub-query has returned multiple rows"),
    one("SELECT 3 IN (1, null), 1 IN (1, null), 3 NOT IN (1, null)", None, "true", None),
    one("SELECT 5 > ALL (SELECT id FROM trip WHERE id < 5), 5 = ANY (SELECT id FROM trip)", "true", "true"),
    Case("WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS y FROM a) SELECT x, y FROM a, b UNION ALL SELECT 5, 6 ORDER BY 1 DESC", [["5", "6"], ["1", "2"]], "x y"),
    Case("SELECT 1 AS a UNION SELECT 1 UNION SELECT 2 ORDER BY a", [["1"], ["2"]]),
    Case("(VALUES 1, 2, 3) EXCEPT (VALUES 2) ORDER BY 1", [["1"], ["3"]]),
    Case("VALUES 1, 2 INTERSECT VALUES 2, 3", [["2"]]),
    Case("SELECT 1 AS a UNION ALL SELECT 2.5", [["1.0"], ["2.5"]], "a", "decimal"),
    Failure("SELECT 1 UNION SELECT 'a'", "column 1 in UNION query has incompatible types: integer, varchar(1)"),
    Failure("SELECT 1 UNION SELECT 1, 2", "UNION query has different number of fields: 1, 2"),
    Failure("WITH RECURSIVE a AS (SELECT 1) SELECT * FROM a", "WITH RECURSIVE is not supported"),
    one("SELECT CASE WHEN 1 > 2 THEN 'a' ELSE 'bb' END, CASE 3 WHEN 3 THEN 'x' END, if(false, 1), nullif(1, 1), coalesce(null, 2)", "bb", "x", None, None, "2"),
    one("SELECT null = null, null IS DISTINCT FROM null, 1 IS NOT DISTINCT FROM 1, NOT null, true AND null, true OR null", None, "false", "true", None, None, "true"),
    Case("SELECT count(*) FROM trip WHERE km <> 0 AND NOT (fare > 50)", [["2"]]),
    Case('SELECT * FROM (SELECT id, "$path" AS p FROM trip) WHERE id = 4', [["4", "s3://lake/trip/part-1.parquet"]]),
    Case("SELECT x FROM trip t CROSS JOIN LATERAL (SELECT t.id * 10 AS x) ORDER BY 1 LIMIT 1", [["10"]]),
    Case("SELECT id FROM trip ORDER BY -id LIMIT 1", [["5"]]),
    Case("SELECT -id AS id FROM trip ORDER BY id LIMIT 1", [["-5"]]),
    Case("SELECT date_trunc('month', started) AS m, count(*) FROM trip GROUP BY 1 ORDER BY 1", [["2026-03-01 00:00:00.000", "4"], ["2026-04-01 00:00:00.000", "1"]], "m _col1", "timestamp bigint"),
    Case("TABLE worker", [["1", "Ann, A.", 'says "hi"'], ["2", "Bo", ""], ["3", "Cy", None]], "id name note", "integer varchar varchar"),
    Case("SELECT n, t, d, items, pairs FROM lazy ORDER BY n", [["1", "x", "2026-03-01", "[a, b]", "{k=v}"], ["2", None, None, "[]", "{}"], [None, "y", "2026-03-02", "[c]", "{k=1, l=2}"]]),
    Case("SELECT id, value, nested.a, nested.b, list FROM odd ORDER BY id", [["1", "12", "1.5", None, None], ["2", '{"deep":[1,2]}', None, None, None], ["3", "7", None, None, "[1, 2, null]"]]),
    Failure("SELECT * FROM bad", "HIVE_CURSOR_ERROR: Row is not a valid JSON Object"),
    Case("SELECT id FROM bad_ignored ORDER BY id", [["1"], [None], [None]]),
    Case("SELECT day, sum(hits), max(agent) FROM visit GROUP BY day ORDER BY day", [["2026-03-01", "3", None], ["2026-03-02", "40", None], ["2026-03-03", "5", "bot"]], types="date bigint varchar"),
    Case("SELECT page, hits FROM visit WHERE day = date '2026-03-02'", [["a", "40"]]),
    Case("SELECT count(*) FROM visit WHERE day BETWEEN date '2026-03-02' AND date '2026-03-09'", [["2"]]),
    Case("SELECT day, count(*) FROM visit_projected WHERE day >= '2026-03-02' GROUP BY day ORDER BY day", [["2026-03-02", "1"], ["2026-03-03", "1"]]),
    Case("SELECT d, sum(hits) FROM visit_injected WHERE d IN ('2026-03-01', '2026-03-03') GROUP BY d ORDER BY d", [["2026-03-01", "3"], ["2026-03-03", "5"]]),
    Failure("SELECT count(*) FROM visit_injected", "For the injected projected partition column d"),
    Case("SELECT table_name FROM information_schema.tables WHERE table_schema = 'lake' AND table_name LIKE 'visit%' ORDER BY 1", [["visit"], ["visit_injected"], ["visit_projected"]]),
    Case("SELECT column_name, data_type, extra_info FROM information_schema.columns WHERE table_schema = 'lake' AND table_name = 'visit' ORDER BY ordinal_position", [["page", "varchar", None], ["hits", "bigint", None], ["agent", "varchar", None], ["day", "date", "partition key"]]),
]  # fmt: skip

# What DuckDB or another dialect would accept and Athena does not.
FOREIGN = [
    Failure("SELECT list_transform(ARRAY[1], x -> x)", "FUNCTION_NOT_FOUND: line 1:8: Function 'list_transform' not registered"),
    Failure("SELECT array_length(ARRAY[1])", "Function 'array_length' not registered"),
    Failure("SELECT ifnull(1, 2)", "Function 'ifnull' not registered"),
    Failure("SELECT left('abc', 1)", "Function 'left' not registered"),
    Failure("SELECT read_csv('x.csv')", "Function 'read_csv' not registered"),
    Failure("SELECT * FROM read_parquet('x.parquet')", "Table function read_parquet"),
    Failure("SELECT getenv('HOME')", "Function 'getenv' not registered"),
    Failure("SELECT strftime(now(), '%Y')", "Function 'strftime' not registered"),
    Failure("SELECT abs('a')", "Unexpected parameters (varchar(1)) for function abs"),
    Failure("SELECT checksum(1)", "NOT_SUPPORTED: line 1:8: Function 'checksum' is not supported by this engine"),
    Failure("SELECT id FROM trip TABLESAMPLE BERNOULLI (10)", "TABLESAMPLE is not supported"),
    Failure("SELECT id FROM trip GROUP BY ALL", "GROUP BY ALL"),
    Failure("SELECT * FROM nowhere", "TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.lake.nowhere' does not exist"),
    Failure("SELECT * FROM nobase.nowhere", "SCHEMA_NOT_FOUND: line 1:15: Schema 'nobase' does not exist"),
    Failure("SELECT nothing FROM trip", "COLUMN_NOT_FOUND: line 1:8: Column 'nothing' cannot be resolved"),
    Failure("SELECT 1 WHERE 5", "WHERE clause must evaluate to a boolean: actual type integer"),
    Failure("SELECT id FROM trip WHERE id = '1'", "Cannot apply operator: bigint = varchar(1)"),
    Failure("DELETE FROM trip WHERE id = 1", "DELETE needs an Iceberg table"),
]  # fmt: skip

CASES = [*NUMBERS, *CASTS, *TEXT, *DATES, *NESTED, *JSON, *QUERIES, *FOREIGN]

# Not even a query: refused by StartQueryExecution.
REFUSED = [
    "SELEC 1",
    "SELECT 1 FROM",
    "SELECT 1::integer",
    "SELECT {'a': 1}",
    "SELECT 'a' ILIKE 'b'",
    "SELECT 1 & 2",
    "SELECT 1; SELECT 2",
    "SELECT [1, 2]",
    "FROM trip SELECT id",
    "SELECT * FROM (FROM trip)",
    "SELECT id FROM trip LIMIT 1 OFFSET 1",
    "SELECT id FROM trip QUALIFY row_number() OVER () = 1",
    "SELECT `id` FROM trip",
    "",
    "USE lake",
]
