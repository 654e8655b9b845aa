"""Every function of the table runs: on plain values, on NULLs, on columns; and none is both had and refused."""

from __future__ import annotations

import pytest

from localaws.engines.athena import functions, specials

VALUES = {
    "varchar": "'1'",
    "bigint": "2",
    "integer": "2",
    "double": "0.5e0",
    "real": "real '0.5'",
    "boolean": "true",
    "varbinary": "x'41'",
    "date": "date '2026-03-01'",
    "timestamp": "timestamp '2026-03-01 10:20:30'",
    "timestamp with time zone": "from_unixtime(0)",
    "json": "json '[1]'",
    "interval day to second": "interval '1' day",
    "D": "timestamp '2026-03-01 10:20:30'",
}
# Values the type alone does not suggest.
OWN = {
    "hamming_distance": ["'ab'", "'cd'"],
    "from_hex": ["'41'"],
    "from_base64": ["'aGk='"],
    "concat_ws": ["','", "ARRAY['a']"],
    "split_to_map": ["'a=1'", "','", "'='"],
    "regexp_extract_all": ["'ab'", "'(a)(b)'", "2"],
}


def sample(of):
    if of.name in VALUES:
        return VALUES[of.name]
    if of.name == "array":
        return f"ARRAY[{sample(of.element)}]"
    if of.name == "map":
        return f"MAP(ARRAY[{sample(of.args[0])}], ARRAY[{sample(of.args[1])}])"
    if of.name == "row":
        return f"ROW({', '.join(map(sample, of.args))})"
    if of.name == "function":
        names = [f"p{i}" for i in range(len(of.args) - 1)]
        return f"({', '.join(names)}) -> {'true' if of.args[-1].name == 'boolean' else names[0]}"
    assert len(of.name) == 1, of  # a type variable: any number will do
    return "2"


def overloads(table):
    return [function for several in table.values() for function in several]


def call(function):
    return OWN.get(function.name, [sample(p) for p in function.parameters])[: len(function.parameters)]


@pytest.mark.parametrize("function", overloads(functions.SCALAR), ids=str)
def test_scalar_functions_run(lake, function):
    arguments = call(function)
    text = f"{function.name}({', '.join(arguments)})"
    assert lake.rows(f"SELECT {text}") == lake.rows(f"SELECT {text} FROM (VALUES 1) t(x)") or function.name in (
        "rand",
        "random",
        "now",
    )
    for number, argument in enumerate(arguments):
        if "->" not in argument:
            nulls = [*arguments[:number], f"if(false, {argument})", *arguments[number + 1 :]]
            assert len(lake.rows(f"SELECT {function.name}({', '.join(nulls)})")) == 1


@pytest.mark.parametrize("function", overloads(functions.AGGREGATE), ids=str)
def test_aggregate_functions_run_filtered_windowed_and_over_nothing(lake, function):
    if function.name == "listagg":
        return  # its grammar is its own: see the corpus
    text = f"{function.name}({', '.join(call(function))})"
    source = "FROM (VALUES 1, 2) t(x)"
    assert len(lake.rows(f"SELECT {text}, {text} FILTER (WHERE x > 1) {source}")) == 1
    assert len(lake.rows(f"SELECT {text} OVER (ORDER BY x) {source}")) == 2
    empty = lake.rows(f"SELECT {text} {source} WHERE x > 5")
    assert empty == [["0" if function.name in ("count", "count_if", "approx_distinct") else None]]


@pytest.mark.parametrize("function", overloads(functions.WINDOW), ids=str)
def test_window_functions_run(lake, function):
    text = f"{function.name}({', '.join(call(function))}) OVER (ORDER BY x)"
    assert len(lake.rows(f"SELECT {text} FROM (VALUES 1, 2) t(x)")) == 2


def test_a_function_is_had_or_refused_but_not_both():
    had = {*functions.SCALAR, *functions.AGGREGATE, *functions.WINDOW, *specials.SPECIAL, *specials.WITH_TREES}
    assert not had & functions.UNSUPPORTED
