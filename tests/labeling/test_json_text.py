"""The standard library's JSON, made equal to orjson's: the same texts are refused, and the same text is written."""

import json
import sys

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sextant.labeling.json_text import DEEPEST, UNUSABLE, slow_dumps, slow_loads


@pytest.fixture(autouse=True, scope="module")
def pythons_own_recursion_limit():
    """What a fresh interpreter has: libraries that other tests import raise it for the whole process."""
    raised = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(raised)


def outcome(function, argument):
    try:
        return repr(function(argument))
    except (*UNUSABLE, RecursionError):
        return "refused"


def nested(depth):
    document = 1
    for _ in range(depth):
        document = [document]
    return document


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    "text",
    [
        rb'"\ud83d"', rb'"\ude00"', rb'"\ud83d\ude00"', rb'{"\uD83D":1}', b"1e999", b"-1e999", b"1e308", b"1e-400",
        b"9" * 400, b"9" * 5000, b"-0", b"18446744073709551615", b"18446744073709551616", b"-9223372036854775808",
        b"-9223372036854775809", b"00000000000000000001", b"NaN", b"-Infinity", b"\xef\xbb\xbf1", b"\xff\xfe1\x00",
        b'"\xed\xa0\xbd"', b'"\x01"', b"[1,]", b"1 2", b"[" * 700 + b"]" * 700, b"[" * 1100 + b"]" * 1100,
        b'{"a":1,"a":2}', b"1e-05", b" 7\n", b"\x0c7",
    ],
)  # fmt: skip
def test_a_text_is_read_or_refused_by_both(text):
    assert outcome(slow_loads, text) == outcome(orjson.loads, text)


@given(VALUES.map(json.dumps).map(str.encode) | st.binary(max_size=12) | st.text("0123456789eE+-.", max_size=24))
def test_any_text_is_read_or_refused_by_both(text):
    assert outcome(slow_loads, text) == outcome(orjson.loads, text)


@given(VALUES)
def test_any_document_is_written_alike(document):
    read = orjson.loads(json.dumps(document, ensure_ascii=False).encode())
    assert slow_dumps(read) == orjson.dumps(read).decode()


@pytest.mark.parametrize("number", [1e-5, -1.234e-05, 1e-6, -2.5e-9, 1e-10, 1e16, 1e15, 5e-324])
def test_small_numbers_are_written_alike(number):
    assert slow_dumps([number, '"1e-05']) == orjson.dumps([number, '"1e-05']).decode()


@pytest.mark.parametrize("depth", [DEEPEST, DEEPEST + 1, 700])
def test_the_same_depth_is_too_deep_to_write(depth):
    assert outcome(slow_dumps, nested(depth)) == outcome(lambda each: orjson.dumps(each).decode(), nested(depth))
