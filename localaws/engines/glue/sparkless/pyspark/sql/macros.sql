-- Spark 3.5 functions (ANSI off, session time zone UTC) whose meaning differs from DuckDB's functions of that name.
-- `typeof(x)` is a constant when a statement is bound, so a CASE over it costs nothing per row.

-- Casts that give NULL instead of an error. Java's rules: strings are trimmed, '1.9' is the integer 1, doubles truncate and saturate.
CREATE MACRO spark_digits(x) AS regexp_extract(trim(CAST(x AS VARCHAR), E' \t\n\r'), '^([+-]?[0-9]+)(\.[0-9]*)?$', 1);
CREATE MACRO spark_truncate(x) AS CASE WHEN isnan(TRY_CAST(x AS DOUBLE)) THEN 0::HUGEINT
    ELSE CAST(greatest(least(trunc(TRY_CAST(x AS DOUBLE)), 1e19), -1e19) AS HUGEINT) END;
CREATE MACRO spark_bigint(x) AS CASE
    WHEN typeof(x) = 'VARCHAR' THEN TRY_CAST(spark_digits(x) AS BIGINT)
    WHEN typeof(x) IN ('DOUBLE', 'FLOAT') THEN CAST(greatest(least(spark_truncate(x), 9223372036854775807), -9223372036854775808) AS BIGINT)
    WHEN typeof(x) LIKE 'DECIMAL%' THEN TRY_CAST(regexp_extract(CAST(x AS VARCHAR), '^-?[0-9]+') AS BIGINT)
    WHEN typeof(x) = 'TIMESTAMP' THEN CAST(floor(epoch(TRY_CAST(CAST(x AS VARCHAR) AS TIMESTAMP))) AS BIGINT)
    ELSE TRY_CAST(x AS BIGINT) END;
-- Too large a number keeps its low bits, as Java's narrowing.
CREATE MACRO spark_narrow(x, bits) AS xor(spark_bigint(x) & ((1::BIGINT << bits) - 1), 1::BIGINT << (bits - 1)) - (1::BIGINT << (bits - 1));
CREATE MACRO spark_int(x) AS CASE
    WHEN typeof(x) = 'VARCHAR' THEN TRY_CAST(spark_digits(x) AS INTEGER)
    WHEN typeof(x) IN ('DOUBLE', 'FLOAT') THEN CAST(greatest(least(spark_truncate(x), 2147483647), -2147483648) AS INTEGER)
    WHEN typeof(x) = 'INTEGER' THEN TRY_CAST(x AS INTEGER)
    ELSE CAST(spark_narrow(x, 32) AS INTEGER) END;
CREATE MACRO spark_smallint(x) AS CASE
    WHEN typeof(x) = 'VARCHAR' THEN TRY_CAST(spark_digits(x) AS SMALLINT)
    ELSE CAST(spark_narrow(spark_int(x), 16) AS SMALLINT) END;
CREATE MACRO spark_tinyint(x) AS CASE
    WHEN typeof(x) = 'VARCHAR' THEN TRY_CAST(spark_digits(x) AS TINYINT)
    ELSE CAST(spark_narrow(spark_int(x), 8) AS TINYINT) END;
CREATE MACRO spark_double(x) AS CASE
    WHEN typeof(x) = 'TIMESTAMP' THEN epoch(TRY_CAST(CAST(x AS VARCHAR) AS TIMESTAMP))
    ELSE TRY_CAST(x AS DOUBLE) END;
CREATE MACRO spark_float(x) AS CAST(spark_double(x) AS FLOAT);
CREATE MACRO spark_boolean(x) AS CASE
    WHEN typeof(x) = 'VARCHAR' THEN CASE
        WHEN lower(trim(CAST(x AS VARCHAR))) IN ('t', 'true', 'y', 'yes', '1') THEN true
        WHEN lower(trim(CAST(x AS VARCHAR))) IN ('f', 'false', 'n', 'no', '0') THEN false END
    ELSE TRY_CAST(x AS BOOLEAN) END;
CREATE MACRO spark_timestamp(x) AS CASE
    WHEN typeof(x) = 'VARCHAR' THEN CASE length(trim(CAST(x AS VARCHAR)))
        WHEN 4 THEN TRY_CAST(trim(CAST(x AS VARCHAR)) || '-01-01' AS TIMESTAMP)
        WHEN 7 THEN TRY_CAST(trim(CAST(x AS VARCHAR)) || '-01' AS TIMESTAMP)
        ELSE CAST(TRY_CAST(trim(CAST(x AS VARCHAR)) AS TIMESTAMPTZ) AS TIMESTAMP) END
    WHEN typeof(x) IN ('TIMESTAMP', 'DATE', '"NULL"') THEN TRY_CAST(CAST(x AS VARCHAR) AS TIMESTAMP)
    WHEN typeof(x) IN ('TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT') THEN make_timestamp(TRY_CAST(x AS BIGINT) * 1000000)
    WHEN typeof(x) IN ('DOUBLE', 'FLOAT') OR typeof(x) LIKE 'DECIMAL%' THEN make_timestamp(TRY_CAST(trunc(TRY_CAST(x AS DOUBLE) * 1000000) AS BIGINT))
    ELSE error('cast of ' || typeof(x) || ' to timestamp') END;
CREATE MACRO spark_date(x) AS CASE
    WHEN typeof(x) = 'VARCHAR' THEN CASE length(trim(CAST(x AS VARCHAR)))
        WHEN 4 THEN TRY_CAST(trim(CAST(x AS VARCHAR)) || '-01-01' AS DATE)
        WHEN 7 THEN TRY_CAST(trim(CAST(x AS VARCHAR)) || '-01' AS DATE)
        ELSE TRY_CAST(regexp_extract(trim(CAST(x AS VARCHAR)), '^([0-9]{4}-[0-9]{1,2}-[0-9]{1,2})([ T].*)?$', 1) AS DATE) END
    WHEN typeof(x) IN ('TIMESTAMP', 'DATE', '"NULL"') THEN TRY_CAST(x AS DATE)
    ELSE error('cast of ' || typeof(x) || ' to date') END;
CREATE MACRO spark_string(x) AS CASE
    WHEN typeof(x) IN ('DOUBLE', 'FLOAT') AND x IS NOT NULL AND isfinite(TRY_CAST(x AS DOUBLE)) AND TRY_CAST(x AS DOUBLE) <> 0
        AND (abs(TRY_CAST(x AS DOUBLE)) >= 1e7 OR abs(TRY_CAST(x AS DOUBLE)) < 1e-3)
        THEN error('CAST(' || CAST(x AS VARCHAR) || ' AS STRING): Spark writes this double with an exponent, so round it or cast it to DECIMAL first')
    WHEN typeof(x) IN ('DOUBLE', 'FLOAT') THEN CASE CAST(x AS VARCHAR) WHEN 'inf' THEN 'Infinity' WHEN '-inf' THEN '-Infinity' WHEN 'nan' THEN 'NaN' ELSE CAST(x AS VARCHAR) END
    WHEN typeof(x) LIKE 'MAP%' OR typeof(x) LIKE 'STRUCT%' OR typeof(x) LIKE '%[]' OR typeof(x) = 'BLOB' THEN error('CAST(' || typeof(x) || ' AS STRING)')
    ELSE CAST(x AS VARCHAR) END;

-- Arithmetic: a zero divisor gives NULL, division of anything but decimals is done in doubles, DIV truncates.
CREATE MACRO spark_divide(a, b) AS CASE
    WHEN typeof(a) LIKE 'DECIMAL%' OR typeof(b) LIKE 'DECIMAL%' THEN error('division of DECIMAL: write numbers as doubles (1000D or 1e3)')
    ELSE a / nullif(b, 0) END;
CREATE MACRO spark_modulo(a, b) AS a % nullif(b, 0);
CREATE MACRO spark_div(a, b) AS CASE
    WHEN b = 0 THEN NULL
    ELSE CAST(sign(a) * sign(b) * (abs(CAST(a AS HUGEINT)) // abs(CAST(b AS HUGEINT))) AS BIGINT) END;
CREATE MACRO spark_floor(x) AS CAST(floor(x) AS BIGINT);
CREATE MACRO spark_ceil(x) AS CAST(ceil(x) AS BIGINT);
CREATE MACRO spark_sign(x) AS CAST(sign(x) AS DOUBLE);
CREATE MACRO spark_sqrt(x) AS CASE WHEN x < 0 THEN 'NaN'::DOUBLE ELSE sqrt(x) END;
CREATE MACRO spark_ln(x) AS CASE WHEN x <= 0 THEN NULL ELSE ln(x) END;

-- Arrays and maps
CREATE MACRO spark_item(x, i) AS CASE WHEN typeof(x) LIKE 'MAP%' THEN x[i] WHEN TRY_CAST(i AS BIGINT) >= 0 THEN x[TRY_CAST(i AS BIGINT) + 1] END;
CREATE MACRO spark_element_at(x, i) AS x[i];
CREATE MACRO spark_sort_array(x) AS list_sort(x, 'ASC', 'NULLS FIRST'), (x, up) AS CASE WHEN up THEN list_sort(x, 'ASC', 'NULLS FIRST') ELSE list_sort(x, 'DESC', 'NULLS LAST') END;
CREATE MACRO spark_array_sort(x) AS list_sort(x, 'ASC', 'NULLS LAST');
CREATE MACRO spark_array_contains(x, v) AS CASE
    WHEN x IS NULL OR v IS NULL THEN NULL WHEN list_contains(x, v) THEN true
    WHEN len(list_filter(x, lambda e: e IS NULL)) > 0 THEN NULL ELSE false END;
CREATE MACRO spark_array_join(x, sep) AS CASE WHEN x IS NULL THEN NULL ELSE coalesce(array_to_string(list_filter(x, lambda e: e IS NOT NULL), sep), '') END;
CREATE MACRO spark_array_max(x) AS list_max(x);
CREATE MACRO spark_array_min(x) AS list_min(x);
CREATE MACRO spark_sequence(a, b) AS CASE WHEN a <= b THEN generate_series(a, b, 1) ELSE generate_series(a, b, -1) END, (a, b, s) AS generate_series(a, b, s);
CREATE MACRO spark_map_keys(m) AS map_keys(m);
CREATE MACRO spark_map_values(m) AS map_values(m);
CREATE MACRO spark_map_entries(m) AS map_entries(m);
CREATE MACRO spark_map_from_arrays(k, v) AS CASE WHEN k IS NULL OR v IS NULL THEN NULL ELSE map(k, v) END;
CREATE MACRO spark_map_from_entries(e) AS map_from_entries(e);
CREATE MACRO spark_map_contains_key(m, k) AS CASE WHEN m IS NULL THEN NULL ELSE map_contains(m, k) END;
CREATE MACRO spark_slice(x, start, n) AS CASE
    WHEN start = 0 OR n < 0 THEN error('slice: start must not be 0 and length not negative')
    WHEN start > 0 THEN x[start:start + n - 1]
    WHEN len(x) + start < 0 THEN x[1:0]
    ELSE x[len(x) + start + 1:len(x) + start + n] END;

-- Strings
CREATE MACRO spark_length(x) AS CAST(length(CAST(x AS VARCHAR)) AS INTEGER);
CREATE MACRO spark_instr(s, part) AS CAST(instr(s, part) AS INTEGER);
CREATE MACRO spark_locate(part, s) AS CAST(instr(s, part) AS INTEGER);
CREATE MACRO spark_substring(s, start) AS CASE WHEN start = 0 THEN s WHEN start < -length(s) THEN s ELSE substring(s, start) END,
    (s, start, n) AS CASE WHEN n <= 0 THEN CASE WHEN s IS NOT NULL THEN '' END WHEN start > 0 THEN substring(s, start, n) WHEN start = 0 THEN substring(s, 1, n)
        WHEN length(s) + start + n <= 0 THEN CASE WHEN s IS NOT NULL THEN '' END
        ELSE substring(s, greatest(length(s) + start, 0) + 1, length(s) + start + n - greatest(length(s) + start, 0)) END;
CREATE MACRO spark_left(s, n) AS CASE WHEN n <= 0 THEN CASE WHEN s IS NOT NULL THEN '' END ELSE left(s, n) END;
CREATE MACRO spark_right(s, n) AS CASE WHEN n <= 0 THEN CASE WHEN s IS NOT NULL THEN '' END ELSE right(s, n) END;
CREATE MACRO spark_regexp_extract(s, p) AS CASE WHEN s IS NULL OR p IS NULL THEN NULL ELSE regexp_extract(s, p, 1) END,
    (s, p, g) AS CASE WHEN s IS NULL OR p IS NULL THEN NULL ELSE regexp_extract(s, p, g) END;
CREATE MACRO spark_regexp_extract_all(s, p) AS regexp_extract_all(s, p, 1), (s, p, g) AS regexp_extract_all(s, p, g);
CREATE MACRO spark_regexp_replace(s, p, r) AS regexp_replace(s, p, r, 'g');
CREATE MACRO spark_split(s, p) AS CASE WHEN s IS NOT NULL THEN str_split_regex(s, p) END;
CREATE MACRO spark_replace(s, a) AS replace(s, a, ''), (s, a, b) AS replace(s, a, b);
CREATE MACRO spark_lpad(s, n, p) AS CASE WHEN n <= 0 THEN '' WHEN p = '' THEN left(s, n) ELSE lpad(s, n, p) END;
CREATE MACRO spark_rpad(s, n, p) AS CASE WHEN n <= 0 THEN '' WHEN p = '' THEN left(s, n) ELSE rpad(s, n, p) END;
CREATE MACRO spark_encode(s, charset) AS CASE WHEN upper(charset) IN ('UTF-8', 'UTF8') THEN encode(s) ELSE error('encode to ' || charset) END;
CREATE MACRO spark_decode(s, charset) AS CASE WHEN upper(charset) IN ('UTF-8', 'UTF8') THEN decode(s) ELSE error('decode from ' || charset) END;
CREATE MACRO spark_get_json_object(s, path) AS CASE WHEN json_valid(s) THEN json_extract_string(s, path) END;
CREATE MACRO spark_sha2(s) AS sha256(s);
CREATE MACRO spark_hex(x) AS CASE WHEN typeof(x) IN ('INTEGER', 'BIGINT') THEN upper(format('{:x}', TRY_CAST(x AS BIGINT))) ELSE hex(CAST(x AS VARCHAR)) END;

-- Times: every timestamp is UTC
CREATE MACRO spark_year(x) AS CAST(year(spark_timestamp(x)) AS INTEGER);
CREATE MACRO spark_quarter(x) AS CAST(quarter(spark_timestamp(x)) AS INTEGER);
CREATE MACRO spark_month(x) AS CAST(month(spark_timestamp(x)) AS INTEGER);
CREATE MACRO spark_weekofyear(x) AS CAST(weekofyear(spark_timestamp(x)) AS INTEGER);
CREATE MACRO spark_day(x) AS CAST(day(spark_timestamp(x)) AS INTEGER);
CREATE MACRO spark_dayofweek(x) AS CAST(dayofweek(spark_timestamp(x)) + 1 AS INTEGER);
CREATE MACRO spark_weekday(x) AS CAST(isodow(spark_timestamp(x)) - 1 AS INTEGER);
CREATE MACRO spark_dayofyear(x) AS CAST(dayofyear(spark_timestamp(x)) AS INTEGER);
CREATE MACRO spark_hour(x) AS CAST(hour(spark_timestamp(x)) AS INTEGER);
CREATE MACRO spark_minute(x) AS CAST(minute(spark_timestamp(x)) AS INTEGER);
CREATE MACRO spark_second(x) AS CAST(second(spark_timestamp(x)) AS INTEGER);
CREATE MACRO spark_date_trunc(unit, x) AS CAST(date_trunc(unit, spark_timestamp(x)) AS TIMESTAMP);
CREATE MACRO spark_between(unit, a, b) AS date_sub(unit, spark_timestamp(a), spark_timestamp(b));
CREATE MACRO spark_datediff(last, first) AS CAST(date_diff('day', spark_date(first), spark_date(last)) AS INTEGER);
CREATE MACRO spark_date_add(d, n) AS CAST(spark_date(d) + CAST(n AS INTEGER) AS DATE);
CREATE MACRO spark_date_sub(d, n) AS CAST(spark_date(d) - CAST(n AS INTEGER) AS DATE);
CREATE MACRO spark_last_day(d) AS last_day(spark_date(d));
CREATE MACRO spark_unix_timestamp(x) AS CASE
    WHEN typeof(x) = 'VARCHAR' THEN CAST(floor(epoch(try_strptime(TRY_CAST(x AS VARCHAR), '%Y-%m-%d %H:%M:%S'))) AS BIGINT)
    ELSE CAST(trunc(epoch(spark_timestamp(x))) AS BIGINT) END;
CREATE MACRO spark_unix_seconds(x) AS CAST(floor(epoch(spark_timestamp(x))) AS BIGINT);
CREATE MACRO spark_unix_millis(x) AS CAST(floor(epoch_us(spark_timestamp(x)) / 1000) AS BIGINT);
CREATE MACRO spark_unix_micros(x) AS epoch_us(spark_timestamp(x));
CREATE MACRO spark_timestamp_seconds(n) AS make_timestamp(CAST(n * 1000000 AS BIGINT));
CREATE MACRO spark_timestamp_millis(n) AS make_timestamp(CAST(n * 1000 AS BIGINT));
CREATE MACRO spark_timestamp_micros(n) AS make_timestamp(CAST(n AS BIGINT));
CREATE MACRO spark_from_unixtime(n) AS strftime(make_timestamp(CAST(n AS BIGINT) * 1000000), '%Y-%m-%d %H:%M:%S');
