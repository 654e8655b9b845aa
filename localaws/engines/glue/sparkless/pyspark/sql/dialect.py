"""Spark SQL text into DuckDB SQL text, or a clear refusal.

sqlglot parses; this module decides. `SYNTAX` lists the accepted constructs and `FUNCTIONS` the accepted functions:
anything else raises `NotImplementedError` with its name, because a function that both engines have under one name is
exactly where answers silently differ. What differs is rewritten here or in `macros.sql` to Spark 3.5's meaning.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import sqlglot
from sqlglot import exp
from sqlglot.dialects.spark import Spark
from sqlglot.errors import SqlglotError
from sqlglot.tokens import TokenType

from ..errors import ParseException, unsupported  # noqa: TID252 - the shim must not depend on where it lies

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MACROS = Path(__file__).with_name("macros.sql").read_text()


class SparkText(Spark):
    """Spark's grammar with function calls left as written, so that `FUNCTIONS` decides and not sqlglot's builders."""

    class Parser(Spark.Parser):  # pyrefly: ignore[bad-override] - sqlglot sets `Spark.Parser` when the class is made
        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
            name: Spark.Parser.FUNCTION_PARSERS[name] for name in ("CAST", "TRY_CAST", "EXTRACT", "TRIM")
        }
        NO_PAREN_FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {"CASE": Spark.Parser.NO_PAREN_FUNCTION_PARSERS["CASE"]}


SYNTAX: tuple[type[exp.Expr], ...] = (
    # queries
    exp.Select, exp.From, exp.Join, exp.Where, exp.Group, exp.Rollup, exp.Cube, exp.GroupingSets, exp.Having, exp.Order,
    exp.Ordered, exp.Limit, exp.Offset, exp.With, exp.CTE, exp.Union, exp.Except, exp.Intersect, exp.Subquery,
    exp.Values,
    exp.Table, exp.TableAlias, exp.Lateral, exp.Distinct,
    # names and literals
    exp.Column, exp.Identifier, exp.Dot, exp.Star, exp.Alias, exp.Aliases, exp.Literal, exp.Boolean, exp.Null,
    exp.Tuple,
    exp.Var,
    # types
    exp.Cast, exp.TryCast, exp.DataType, exp.DataTypeParam, exp.ColumnDef,
    # operators
    exp.Paren, exp.Neg, exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.NullSafeEQ,
    exp.NullSafeNEQ, exp.Is, exp.Between, exp.In, exp.Like, exp.RegexpLike, exp.Add, exp.Sub, exp.Mul, exp.Div,
    exp.IntDiv, exp.Mod, exp.DPipe, exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor, exp.BitwiseNot, exp.Case, exp.If,
    exp.Exists, exp.Bracket,
    # functions
    exp.Anonymous, exp.Lambda, exp.Window, exp.WindowSpec, exp.IgnoreNulls, exp.Filter, exp.Extract, exp.Trim,
    exp.CurrentDate, exp.CurrentTimestamp,
)  # fmt: skip

GENERATORS = {"explode", "explode_outer", "posexplode", "posexplode_outer"}
# The duration units whose whole count does not depend on a calendar.
UNITS = {"MICROSECOND", "MILLISECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK"}
PARTS = ("year", "quarter", "month", "day", "dayofweek", "dayofyear", "hour", "minute")
TRUNC_UNITS = {"YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND"}
CASTS = {
    exp.DType.BIGINT: "bigint", exp.DType.INT: "int", exp.DType.SMALLINT: "smallint", exp.DType.TINYINT: "tinyint",
    exp.DType.DOUBLE: "double", exp.DType.FLOAT: "float", exp.DType.BOOLEAN: "boolean", exp.DType.DATE: "date",
    exp.DType.TIMESTAMP: "timestamp", exp.DType.TIMESTAMPTZ: "timestamp", exp.DType.TIMESTAMPLTZ: "timestamp",
    exp.DType.TEXT: "string", exp.DType.VARCHAR: "string",
}  # fmt: skip


def call(name: str, *arguments: Any) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=list(arguments))


def macro(name: str, *arguments: exp.Expr) -> exp.Expr:
    """A call of `spark_<name>`. A macro names its arguments several times, so one that is itself made of macros is
    computed first, in a list of one: nested calls would otherwise grow exponentially.
    """
    whole = f"spark_{name}"
    if not any(_has_macro(argument) for argument in arguments):
        return call(whole, *arguments)
    value = exp.to_identifier("v")
    if len(arguments) == 1:
        held: exp.Expr = arguments[0]
        parts: list[exp.Expr] = [value]
    else:
        names = [f"a{at}" for at in range(len(arguments))]
        fields = [
            exp.PropertyEQ(this=exp.to_identifier(name), expression=part)
            for name, part in zip(names, arguments, strict=True)
        ]
        held = exp.Struct(expressions=fields)
        parts = [exp.Dot(this=value.copy(), expression=exp.to_identifier(name)) for name in names]
    body = exp.Lambda(this=call(whole, *parts), expressions=[value.copy()])
    listed = call("list_transform", exp.Array(expressions=[held]), body)
    return call("list_extract", listed, exp.Literal.number(1))


def _has_macro(node: exp.Expr) -> bool:
    return any(_name(part).startswith("spark_") for part in node.find_all(exp.Anonymous))


def text(value: str) -> exp.Literal:
    return exp.Literal.string(value)


def integer(node: exp.Expr) -> exp.Expr:
    return exp.Cast(this=node, to=exp.DataType.build("int"))


def _is_literal(node: exp.Expr, what: str) -> str:
    if not (isinstance(node, exp.Literal) and node.is_string):
        raise unsupported(f"{what} that is not a text literal")
    return str(node.this)


# A rule gets the call, its arguments already rewritten, and gives what replaces it and what to wrap around the call
# with
# its FILTER and OVER (or None).
Wrap: TypeAlias = "Callable[[exp.Expr], exp.Expr]"
Rule: TypeAlias = "Callable[[exp.Anonymous], tuple[exp.Expr, Wrap | None]]"
Rewritten: TypeAlias = "tuple[exp.Expr, Wrap | None]"


def _name(node: exp.Anonymous) -> str:
    return str(node.this).lower()


def _same(node: exp.Anonymous) -> Rewritten:
    return call(_name(node), *node.expressions), None


def _renamed(node: exp.Anonymous) -> Rewritten:
    return call(RENAMED[_name(node)], *node.expressions), None


def _macro(node: exp.Anonymous) -> Rewritten:
    name = ALIASES.get(_name(node), _name(node))
    if len(node.expressions) not in MACRO_ARGUMENTS[name]:
        raise unsupported(f"{name}() with {len(node.expressions)} arguments")
    return macro(name, *node.expressions), None


def _kept(node: exp.Anonymous) -> Rewritten:
    return node, None


def _as_integer(node: exp.Anonymous) -> Rewritten:
    return call(_name(node), *node.expressions), integer


def _collect(node: exp.Anonymous) -> Rewritten:
    """collect_list and collect_set skip NULLs and give an empty array for no rows."""
    (value,) = node.expressions
    name = _name(node)
    if isinstance(value, exp.Distinct):
        (value,) = value.expressions
        name = "collect_set"
    inner: exp.Expr = call("list", exp.Distinct(expressions=[value.copy()]) if name == "collect_set" else value.copy())
    _add_filter(node, exp.Not(this=exp.Is(this=exp.paren(value.copy()), expression=exp.Null())))
    return inner, lambda whole: exp.Coalesce(this=whole, expressions=[exp.Array(expressions=[])])


def _add_filter(node: exp.Anonymous, condition: exp.Expr) -> None:
    parent = node.parent
    if isinstance(parent, exp.Filter):
        where = parent.expression
        where.set("this", exp.and_(where.this, condition))
    else:
        holder = exp.Filter(this=node.copy(), expression=exp.Where(this=condition))
        node.replace(holder)


def _first(node: exp.Anonymous) -> Rewritten:
    name = {"any_value": "first", "first_value": "first", "last_value": "last"}.get(_name(node), str(node.this))
    skip = len(node.expressions) == 2 and isinstance(node.expressions[1], exp.Boolean) and node.expressions[1].this
    if len(node.expressions) == 2 and not isinstance(node.expressions[1], exp.Boolean):
        raise unsupported(f"{node.this}() with a second argument that is not true or false")
    windowed = isinstance(node.parent, exp.Window)
    if windowed:
        function = (exp.FirstValue if name == "first" else exp.LastValue)(this=node.expressions[0])
        return (exp.IgnoreNulls(this=function) if skip else function), None
    if skip:
        _add_filter(node, exp.Not(this=exp.Is(this=exp.paren(node.expressions[0].copy()), expression=exp.Null())))
    return call(name, node.expressions[0]), None


def _if(node: exp.Anonymous) -> Rewritten:
    condition, yes, no = node.expressions
    return exp.Case(ifs=[exp.If(this=condition, true=yes)], default=no), None


def _nvl2(node: exp.Anonymous) -> Rewritten:
    value, yes, no = node.expressions
    return exp.Case(ifs=[exp.If(this=exp.Is(this=value, expression=exp.Null()), true=no)], default=yes), None


def _isnull(node: exp.Anonymous) -> Rewritten:
    test: exp.Expr = exp.Is(this=node.expressions[0], expression=exp.Null())
    return exp.paren(test if _name(node) == "isnull" else exp.Not(this=test)), None


def _concat(node: exp.Anonymous) -> Rewritten:
    """NULL when any part is NULL; also joins arrays."""
    if len(node.expressions) == 1:
        return node.expressions[0], None
    joined = node.expressions[0]
    for part in node.expressions[1:]:
        joined = exp.DPipe(this=joined, expression=part)
    return exp.paren(joined), None


def _map(node: exp.Anonymous) -> Rewritten:
    if len(node.expressions) % 2:
        raise ParseException("map() takes pairs of key and value")
    keys, values = node.expressions[::2], node.expressions[1::2]
    return call("map", exp.Array(expressions=keys), exp.Array(expressions=values)), None


def _array(node: exp.Anonymous) -> Rewritten:
    return exp.Array(expressions=node.expressions), None


def _struct(node: exp.Anonymous) -> Rewritten:
    fields = []
    for at, value in enumerate(node.expressions, 1):
        name = (
            value.alias
            if isinstance(value, exp.Alias)
            else value.name
            if isinstance(value, (exp.Column, exp.Dot))
            else f"col{at}"
        )
        inner = value.this if isinstance(value, exp.Alias) else value
        fields.append(exp.PropertyEQ(this=exp.to_identifier(name, quoted=True), expression=inner))
    return exp.Struct(expressions=fields), None


def _named_struct(node: exp.Anonymous) -> Rewritten:
    names, values = node.expressions[::2], node.expressions[1::2]
    fields = [
        exp.PropertyEQ(
            this=exp.to_identifier(_is_literal(n, "named_struct() with a field name"), quoted=True), expression=v
        )
        for n, v in zip(names, values, strict=True)
    ]
    return exp.Struct(expressions=fields), None


def _size(node: exp.Anonymous) -> Rewritten:
    """size(NULL) is -1 (spark.sql.legacy.sizeOfNull). DuckDB's cardinality() counts arrays and maps, but not inside a
    macro.
    """
    (value,) = node.expressions
    count = integer(call("cardinality", value.copy()))
    if _name(node) == "array_size":
        return count, None
    return exp.Case(
        ifs=[exp.If(this=exp.Is(this=value, expression=exp.Null()), true=exp.Literal.number(-1))], default=count
    ), None


def _sequence(node: exp.Anonymous) -> Rewritten:
    """An array of bigint; of int, as in Spark, where the bounds are written as numbers or are sizes."""
    bounds = [part.this if isinstance(part, exp.Neg) else part for part in node.expressions]
    small = all(
        (isinstance(part, exp.Literal) and not part.is_string) or (isinstance(part, exp.Cast) and part.is_type("int"))
        for part in bounds
    )
    series = macro("sequence", *node.expressions)
    return (exp.Cast(this=series, to=exp.DataType.build("int[]", dialect="duckdb")) if small else series), None


def _lambda(node: exp.Anonymous) -> Rewritten:
    if len(node.expressions) != 2 or not isinstance(node.expressions[1], exp.Lambda):
        raise unsupported(f"{node.this}() without a lambda")
    if len(node.expressions[1].expressions) != 1:
        raise unsupported(f"{node.this}() with an index argument")
    return call(f"list_{_name(node)}", *node.expressions), None


def _aggregate(node: exp.Anonymous) -> Rewritten:
    if len(node.expressions) != 3:
        raise unsupported("aggregate() with a finish function")
    values, start, merge = node.expressions
    return call("list_reduce", values, merge, start), None


def _date_trunc(node: exp.Anonymous) -> Rewritten:
    unit = _is_literal(node.expressions[0], "date_trunc() with a unit").upper()
    unit = {"YYYY": "YEAR", "YY": "YEAR", "MM": "MONTH", "MON": "MONTH", "DD": "DAY"}.get(unit, unit)
    if unit not in TRUNC_UNITS:
        raise unsupported(f"date_trunc({unit!r}, …)")
    return macro("date_trunc", text(unit.lower()), node.expressions[1]), None


def _timestampdiff(node: exp.Anonymous) -> Rewritten:
    if len(node.expressions) == 2:
        return macro("datediff", *node.expressions), None
    unit = node.expressions[0].name.upper()
    if unit not in UNITS:
        raise unsupported(f"{node.this}({unit}, …)", f"use one of {', '.join(sorted(UNITS))}")
    return macro("between", text(unit.lower()), *node.expressions[1:]), None


# Java's DateTimeFormatter letters that strptime and strftime have too. Anything else is refused.
_PATTERNS = (
    ("yyyy", "%Y"), ("MM", "%m"), ("dd", "%d"), ("HH", "%H"), ("mm", "%M"), ("ss", "%S"), ("SSSSSS", "%f"),
    ("SSS", "%g"),
    ("XXX", "%z"),
)  # fmt: skip


def java_pattern(pattern: str) -> str:
    """A Java date pattern as strptime/strftime format. Raises NotImplementedError for letters outside `_PATTERNS`."""
    out, at = "", 0
    while at < len(pattern):
        if pattern[at] == "'":
            end = pattern.index("'", at + 1) if "'" in pattern[at + 1 :] else len(pattern)
            out, at = out + (pattern[at + 1 : end].replace("%", "%%") or "'"), end + 1
            continue
        if pattern[at].isalpha() or pattern[at] in "[]{}#":
            run = len(pattern[at:]) - len(pattern[at:].lstrip(pattern[at]))
            match = dict(_PATTERNS).get(pattern[at : at + run])
            if match is None:
                raise unsupported(
                    f"The date pattern {pattern[at : at + run]!r} of {pattern!r}",
                    "cast without a pattern, or use yyyy MM dd HH mm ss SSS",
                )
            out, at = out + match, at + run
            continue
        out, at = out + pattern[at].replace("%", "%%"), at + 1
    return out


def _to_timestamp(node: exp.Anonymous) -> Rewritten:
    kind = "timestamp" if "timestamp" in _name(node) else "date"
    if len(node.expressions) == 1:
        return macro(kind, *node.expressions), None
    pattern = java_pattern(_is_literal(node.expressions[1], f"{node.this}() with a pattern"))
    parsed: exp.Expr = call("try_strptime", node.expressions[0], text(pattern))
    return exp.Cast(this=parsed, to=exp.DataType.build(kind)), None


def _date_format(node: exp.Anonymous) -> Rewritten:
    pattern = java_pattern(_is_literal(node.expressions[1], "date_format() with a pattern"))
    if "%z" in pattern:
        raise unsupported("date_format() with a zone")
    return call("strftime", macro("timestamp", node.expressions[0]), text(pattern)), None


def _sha2(node: exp.Anonymous) -> Rewritten:
    if node.expressions[1].name not in ("256", "0"):
        raise unsupported(f"sha2(…, {node.expressions[1].name})", "use 256")
    return call("sha256", node.expressions[0]), None


def _round(node: exp.Anonymous) -> Rewritten:
    """Spark rounds the shortest decimal text of a double half up: round(1.005, 2) is 1.01."""
    places = node.expressions[1] if len(node.expressions) == 2 else exp.Literal.number(0)
    if not (
        isinstance(places, exp.Literal) and not places.is_string and places.name.isdigit() and int(places.name) <= 12
    ):
        raise unsupported("round() to anything but 0 to 12 literal places")
    value = node.expressions[0]
    exact = exp.TryCast(
        this=exp.Cast(this=value.copy(), to=exp.DataType.build("varchar")),
        to=exp.DataType.build(f"decimal(38,{places.name})"),
    )
    rounded = exp.Cast(this=exact, to=exp.DataType.build("double"))
    typed = exp.In(this=call("typeof", value.copy()), expressions=[text("DOUBLE"), text("FLOAT")])
    wrong = call("error", text("round() of a number that is not a double: cast it to DOUBLE first"))
    # Beyond decimal(38) a double has no places left to round.
    return exp.Case(ifs=[exp.If(this=typed, true=exp.Coalesce(this=rounded, expressions=[value]))], default=wrong), None


def _regexp_replace(node: exp.Anonymous) -> Rewritten:
    if len(node.expressions) != 3:
        raise unsupported("regexp_replace() with a position")
    replacement = _is_literal(node.expressions[2], "regexp_replace() with a replacement")
    out = ""
    at = 0
    while at < len(replacement):
        letter = replacement[at]
        if letter == "$" and replacement[at + 1 : at + 2].isdigit():
            out, at = out + "\\" + replacement[at + 1], at + 2
        elif letter in "$\\":
            raise unsupported(f"The replacement {replacement!r}")
        else:
            out, at = out + letter, at + 1
    return macro("regexp_replace", *node.expressions[:2], text(out)), None


def _percentile(node: exp.Anonymous) -> Rewritten:
    if len(node.expressions) != 2:
        raise unsupported("percentile() with a frequency")
    return exp.Cast(
        this=call(
            "quantile_cont", exp.Cast(this=node.expressions[0], to=exp.DataType.build("double")), node.expressions[1]
        ),
        to=exp.DataType.build("double"),
    ), None


def _trim(node: exp.Anonymous) -> Rewritten:
    if len(node.expressions) != 1:
        raise unsupported(f"{node.this}() with characters", "use TRIM(BOTH … FROM …)")
    return _same(node)


# Functions that DuckDB has with Spark's meaning, under Spark's name.
SAME = [
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "count_if",
    "stddev_samp",
    "stddev_pop",
    "var_samp",
    "var_pop",
    "corr",
    "bool_and",
    "bool_or",
    "lag",
    "lead",
    "percent_rank",
    "cume_dist",
    "coalesce",
    "nullif",
    "greatest",
    "least",
    "isnan",
    "abs",
    "exp",
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "atan2",
    "radians",
    "degrees",
    "pi",
    "cbrt",
    "pow",
    "lower",
    "upper",
    "reverse",
    "repeat",
    "md5",
    "sha1",
    "split_part",
    "ascii",
    "chr",
    "contains",
    "flatten",
    "current_date",
    "now",
]
# The same under another name.
RENAMED = {
    "mean": "avg", "stddev": "stddev_samp", "std": "stddev_samp", "variance": "var_samp", "every": "bool_and",
    "some": "bool_or", "any": "bool_or", "max_by": "arg_max_null", "min_by": "arg_min_null", "nvl": "coalesce",
    "ifnull": "coalesce", "power": "pow", "startswith": "starts_with", "endswith": "ends_with", "lcase": "lower",
    "ucase": "upper", "sha": "sha1", "regexp_like": "regexp_matches", "regexp": "regexp_matches",
    "rlike": "regexp_matches", "array_distinct": "list_distinct", "current_timestamp": "now",
}  # fmt: skip
# Functions whose Spark meaning is a macro `spark_<name>`, with the numbers of arguments it takes.
MACRO_ARGUMENTS = {
    **dict.fromkeys(
        ["sqrt", "ln", "floor", "ceil", "sign", "length", "hex", "array_max", "array_min", "array_sort"], (1,)
    ),
    **dict.fromkeys(["map_keys", "map_values", "map_entries", "map_from_entries"], (1,)),
    **dict.fromkeys(
        [
            "year",
            "quarter",
            "month",
            "weekofyear",
            "day",
            "dayofweek",
            "weekday",
            "dayofyear",
            "hour",
            "minute",
            "second",
        ],
        (1,),
    ),
    **dict.fromkeys(
        ["last_day", "unix_timestamp", "unix_seconds", "unix_millis", "unix_micros", "from_unixtime"], (1,)
    ),
    **dict.fromkeys(["timestamp_seconds", "timestamp_millis", "timestamp_micros"], (1,)),
    **dict.fromkeys(
        ["int", "bigint", "double", "float", "string", "boolean", "date", "timestamp", "smallint", "tinyint"], (1,)
    ),
    **dict.fromkeys(
        ["instr", "locate", "left", "right", "split", "encode", "decode", "get_json_object", "element_at"], (2,)
    ),
    **dict.fromkeys(
        ["array_contains", "array_join", "map_from_arrays", "map_contains_key", "date_add", "date_sub"], (2,)
    ),
    **dict.fromkeys(["lpad", "rpad", "slice"], (3,)),
    **dict.fromkeys(["regexp_extract", "regexp_extract_all", "substring", "replace"], (2, 3)),
    "sort_array": (1, 2),
}
ALIASES = {
    "ceiling": "ceil", "signum": "sign", "char_length": "length", "substr": "substring", "dayofmonth": "day",
    "integer": "int", "long": "bigint",
}  # fmt: skip

FUNCTIONS: dict[str, Rule] = {
    **dict.fromkeys(SAME, _same),
    **dict.fromkeys(RENAMED, _renamed),
    **dict.fromkeys([*MACRO_ARGUMENTS, *ALIASES], _macro),
    **dict.fromkeys(("row_number", "rank", "dense_rank", "ntile"), _as_integer),
    **dict.fromkeys(("collect_list", "collect_set", "array_agg"), _collect),
    **dict.fromkeys(("first", "first_value", "any_value", "last", "last_value"), _first),
    **dict.fromkeys(("trim", "ltrim", "rtrim"), _trim),
    **dict.fromkeys(("isnull", "isnotnull"), _isnull),
    **dict.fromkeys(("size", "cardinality", "array_size"), _size),
    **dict.fromkeys(("transform", "filter"), _lambda),
    **dict.fromkeys(("aggregate", "reduce"), _aggregate),
    **dict.fromkeys(("timestampdiff", "datediff", "date_diff"), _timestampdiff),
    **dict.fromkeys(("to_timestamp", "try_to_timestamp", "to_date"), _to_timestamp),
    **dict.fromkeys(GENERATORS, _kept),  # see _rewrite_generators
    "percentile": _percentile,
    "if": _if,
    "iff": _if,
    "nvl2": _nvl2,
    "round": _round,
    "concat": _concat,
    "concat_ws": _same,
    "sha2": _sha2,
    "regexp_replace": _regexp_replace,
    "array": _array,
    "map": _map,
    "struct": _struct,
    "named_struct": _named_struct,
    "sequence": _sequence,
    "date_trunc": _date_trunc,
    "date_format": _date_format,
}


def parse(statement: str) -> exp.Expr:
    """One Spark SQL statement as sqlglot's tree. Raises ParseException."""
    try:
        trees = [tree for tree in sqlglot.parse(statement, read=SparkText) if tree is not None]
    except SqlglotError as problem:
        raise ParseException(f"{problem}\nin the statement:\n{statement}") from None
    if len(trees) != 1:
        raise ParseException(f"Expected one SQL statement, found {len(trees)}: {statement[:200]!r}")
    _refuse_join_after_lateral_view(statement)
    return trees[0]


def _refuse_join_after_lateral_view(statement: str) -> None:
    """Sqlglot keeps lateral views and joins apart, so their order in the text would be lost."""
    seen = [False]
    tokens = SparkText().tokenize(statement)
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.token_type == TokenType.L_PAREN:
            seen.append(False)
        elif token.token_type == TokenType.R_PAREN:
            seen.pop()
        elif token.token_type == TokenType.VIEW and before is not None and before.token_type == TokenType.LATERAL:
            seen[-1] = True
        elif token.token_type in (TokenType.SELECT, TokenType.WHERE, TokenType.UNION):
            seen[-1] = False
        elif token.token_type == TokenType.JOIN and seen[-1]:
            raise unsupported(
                "JOIN after LATERAL VIEW", "put the LATERAL VIEW (or explode) into a sub-select and join that"
            )


def bind(tree: exp.Expr, arguments: Mapping[str, Any]) -> exp.Expr:
    """Puts literals for `:name` parameters."""
    for node in list(tree.find_all(exp.Placeholder)):
        name = str(node.this)
        if name not in arguments:
            raise ParseException(f"The parameter :{name} has no value")
        node.replace(_literal(arguments[name]))
    return tree


def _literal(value: Any) -> exp.Expr:
    if isinstance(value, (dt.datetime, dt.date)):
        if isinstance(value, dt.datetime) and value.tzinfo is not None:
            value = value.astimezone(dt.UTC).replace(tzinfo=None)
        return exp.Cast(
            this=text(str(value)), to=exp.DataType.build("timestamp" if isinstance(value, dt.datetime) else "date")
        )
    if isinstance(value, float):
        return exp.Cast(this=text(repr(value)), to=exp.DataType.build("double"))
    if value is None or isinstance(value, (str, int)):
        return exp.convert(value)
    raise unsupported(f"A parameter of type {type(value).__name__}")


def translate(tree: exp.Expr, relation: Callable[[str], str]) -> str:
    """DuckDB's text of a parsed Spark query.

    Args:
        tree: a query (SELECT, VALUES or a set operation); it is changed.
        relation: the DuckDB view of a temporary view's name; raises AnalysisException for unknown names.
    """
    for select in tree.find_all(exp.Select):
        select.set("hint", None)  # broadcast and the like are physical
        for clause in ("distribute", "cluster", "sort"):
            if select.args.get(clause):
                raise unsupported(f"{clause.upper()} BY", "use ORDER BY")
    _check_syntax(tree)
    _name_results(tree)
    _resolve_relations(tree, relation)
    _rewrite(tree)
    _rewrite_generators(tree)
    try:
        return tree.sql("duckdb", unsupported_level=sqlglot.ErrorLevel.RAISE, comments=False)
    except SqlglotError as problem:
        raise unsupported(str(problem)) from None


def _check_syntax(tree: exp.Expr) -> None:
    for node in tree.walk():
        if isinstance(node, exp.Anonymous):
            if _name(node) not in FUNCTIONS:
                raise unsupported(f"Spark SQL function {_name(node)}()")
        elif type(node) not in SYNTAX:
            raise unsupported(f"Spark SQL construct {type(node).__name__} in {node.sql('spark')[:120]!r}")
        if isinstance(node, exp.Table) and not isinstance(node.this, exp.Identifier):
            raise unsupported(f"The table function {node.sql('spark')}")
        if isinstance(node, exp.Table) and (node.args.get("db") or node.args.get("sample") or node.args.get("pivots")):
            raise unsupported(f"The table {node.sql('spark')}", "read its files and register a temporary view")


def _name_results(tree: exp.Expr) -> None:
    """Result columns without a name get Spark's: the expression's text."""
    for select in tree.find_all(exp.Select):
        for projection in list(select.expressions):
            if isinstance(projection, (exp.Alias, exp.Aliases, exp.Column, exp.Star, exp.Dot)):
                continue
            if isinstance(projection, exp.Anonymous) and str(projection.this).lower() in GENERATORS:
                continue
            shown = projection.sql(SparkText, normalize_functions="lower").replace("count(*)", "count(1)")
            projection.replace(exp.alias_(projection.copy(), shown, quoted=True))


def _resolve_relations(tree: exp.Expr, relation: Callable[[str], str]) -> None:
    """Temporary views are bound when the statement is, as in Spark; common table expressions hide them."""
    for table in list(tree.find_all(exp.Table)):
        name = table.name
        if _is_common_table(table, name):
            continue
        alias = table.args.get("alias")
        if alias is None:
            table.set("alias", exp.TableAlias(this=exp.to_identifier(name, quoted=True)))
        table.set("this", exp.to_identifier(relation(name), quoted=True))


def _is_common_table(table: exp.Table, name: str) -> bool:
    """Whether a WITH of an enclosing query defines the name before this use (a CTE does not see itself)."""
    node: exp.Expr | None = table
    while node is not None:
        clause = node.args.get("with_") or node.args.get("with")
        if clause is not None:
            for cte in clause.expressions:
                if any(part is cte for part in _ancestors(table)):
                    break  # inside this definition: only earlier ones are visible
                if cte.alias.lower() == name.lower():
                    return True
        node = node.parent
    return False


def _ancestors(node: exp.Expr) -> list[exp.Expr]:
    found = []
    at: exp.Expr | None = node
    while at is not None:
        found.append(at)
        at = at.parent
    return found


def _rewrite(tree: exp.Expr) -> None:
    """Replaces operators, casts and function calls by what they mean in DuckDB, the innermost first."""
    for node in reversed(list(tree.walk())):
        if isinstance(node, exp.Anonymous):
            _rewrite_function(node, tree)
        elif isinstance(node, exp.Cast):
            node.replace(_cast(node))
        elif isinstance(node, exp.Div):
            for side in (node.this, node.expression):
                if _is_decimal(side):
                    raise unsupported(f"DECIMAL division {node.sql('spark')!r}", "write the number as a double: 2.5D")
            node.replace(macro("divide", node.this, node.expression))
        elif isinstance(node, exp.IntDiv):
            node.replace(macro("div", node.this, node.expression))
        elif isinstance(node, exp.Mod):
            node.replace(macro("modulo", node.this, node.expression))
        elif isinstance(node, exp.Like) and not (
            isinstance(node.expression, exp.Literal) and "\\" not in node.expression.name
        ):
            node.replace(exp.Escape(this=node.copy(), expression=text("\\")))
        elif isinstance(node, exp.Bracket):
            (key,) = node.expressions
            if isinstance(key, exp.Neg):
                raise unsupported(f"The negative index {node.sql('spark')}", "use element_at")
            if not isinstance(key, exp.Literal):
                node.replace(macro("item", node.this, key))
        elif isinstance(node, exp.Extract):
            unit = ALIASES.get(node.name.lower(), node.name.lower())
            if unit not in PARTS:
                raise unsupported(f"EXTRACT({unit} …)", f"use one of {', '.join(PARTS)}")
            node.replace(macro(unit, node.expression))
        elif isinstance(node, exp.DPipe):
            node.set("safe", False)


def _rewrite_function(node: exp.Anonymous, tree: exp.Expr) -> None:
    mark: exp.Expr = node
    before = node.parent
    replacement, wrap = FUNCTIONS[_name(node)](node)
    if node.parent is not before or (before is not None and node not in list(before.iter_expressions())):
        # A rule that adds a FILTER has put a copy of the call into it.
        mark = next(found for found in (before or tree).find_all(exp.Filter) if found.this == node).this
    if replacement is not mark:
        mark = mark.replace(replacement)
    if wrap is not None:
        whole = mark
        while isinstance(whole.parent, (exp.Filter, exp.IgnoreNulls, exp.Window)) and whole.parent.this is whole:
            whole = whole.parent
        whole.replace(wrap(whole.copy()))


def _is_decimal(node: exp.Expr) -> bool:
    """Whether a literal is a DECIMAL in Spark: it has a point and no exponent."""
    bare = node.unnest()
    bare = bare.this if isinstance(bare, exp.Neg) else bare
    return isinstance(bare, exp.Literal) and not bare.is_string and "." in bare.name and "e" not in bare.name.lower()


def _cast(node: exp.Cast) -> exp.Expr:
    kind = node.to
    if kind.this in CASTS:
        return macro(CASTS[kind.this], node.this)
    if kind.this == exp.DType.DECIMAL:
        return exp.TryCast(this=node.this, to=kind.copy() if kind.expressions else exp.DataType.build("decimal(10,0)"))
    value = node.this
    parts = [value] if isinstance(value, exp.Array) else value.expressions if isinstance(value, exp.Anonymous) else []
    empty = bool(parts) and all(isinstance(part, exp.Array) and not part.expressions for part in parts)
    nested = (exp.DType.MAP, exp.DType.ARRAY, exp.DType.STRUCT)
    if kind.this in nested and (isinstance(value, exp.Null) or empty):
        return exp.Cast(this=value, to=kind.copy())
    raise unsupported(f"CAST AS {kind.sql('spark')} of anything but NULL, array() or map()")


def _generator(node: exp.Expr | None) -> str:
    name = _name(node) if isinstance(node, exp.Anonymous) else ""
    return name if name in GENERATORS else ""


def _rewrite_generators(tree: exp.Expr) -> None:
    for select in list(tree.find_all(exp.Select)):
        _rewrite_lateral_views(select)
        _rewrite_explode(select)
    for node in tree.find_all(exp.Anonymous):
        if _generator(node):
            raise unsupported(f"{node.this}() inside an expression", "explode in a sub-select of its own")


def _rewrite_lateral_views(select: exp.Select) -> None:
    for lateral in select.args.pop("laterals", None) or []:
        name = _generator(lateral.this)
        if not name:
            raise unsupported(
                f"LATERAL VIEW {lateral.this.sql('spark')}", f"use one of {', '.join(sorted(GENERATORS))}"
            )
        (value,) = lateral.this.expressions
        alias = lateral.args["alias"]
        names = [column.name for column in alias.args.get("columns") or []]
        outer = bool(lateral.args.get("outer")) or name.endswith("_outer")
        query = _exploded(value, names, positions=name.startswith("pos"))
        # DuckDB's optimizer knows this shape and runs it as a plain UNNEST.
        join = exp.Join(
            this=exp.Lateral(this=exp.Subquery(this=query), alias=exp.TableAlias(this=alias.this)),
            side="LEFT" if outer else None,
            kind=None if outer else "CROSS",
            on=exp.true() if outer else None,
        )
        select.append("joins", join)


def _exploded(value: exp.Expr, names: list[str], *, positions: bool) -> exp.Select:
    """SELECT of the generated columns. Two names without positions mean a map: key and value."""
    if positions:
        names = names or ["pos", "col"]
        columns = [
            integer(
                exp.Sub(
                    this=call("generate_subscripts", value.copy(), exp.Literal.number(1)),
                    expression=exp.Literal.number(1),
                )
            ),
            call("unnest", value.copy()),
        ]
    elif len(names) == 2:
        columns = [call("unnest", call("map_keys", value.copy())), call("unnest", call("map_values", value.copy()))]
    else:
        names = names or ["col"]
        columns = [call("unnest", value.copy())]
    if len(names) != len(columns):
        raise ParseException(f"The generator gives {len(columns)} columns, not {len(names)}")
    return exp.select(*[exp.alias_(column, name, quoted=True) for column, name in zip(columns, names, strict=True)])


def _rewrite_explode(select: exp.Select) -> None:
    found = [
        projection
        for projection in select.expressions
        if _generator(projection if isinstance(projection, exp.Anonymous) else projection.this)
    ]
    if len(found) > 1:
        raise unsupported("More than one generator in a SELECT")
    for projection in found:
        function = projection if isinstance(projection, exp.Anonymous) else projection.this
        name = _generator(function)
        names = (
            [projection.alias]
            if isinstance(projection, exp.Alias)
            else [part.name for part in projection.expressions]
            if isinstance(projection, exp.Aliases)
            else []
        )
        (value,) = function.expressions
        if name.endswith("_outer"):
            if name != "explode_outer" or len(names) == 2:
                raise unsupported(f"{name}() in a SELECT list", "use LATERAL VIEW OUTER")
            empty = exp.EQ(
                this=exp.Coalesce(this=call("len", value.copy()), expressions=[exp.Literal.number(0)]),
                expression=exp.Literal.number(0),
            )
            value = exp.Case(ifs=[exp.If(this=empty, true=exp.Array(expressions=[exp.Null()]))], default=value)
        columns = _exploded(value, names, positions=name.startswith("pos")).expressions
        index = select.expressions.index(projection)
        select.set("expressions", [*select.expressions[:index], *columns, *select.expressions[index + 1 :]])
