import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localaws.engines.glue.globs import glob
from localaws.engines.glue.inference import (
    SAMPLE,
    Struct,
    Unreadable,
    absorb,
    close_document,
    columns_of,
    hive_type,
    merge,
    sample_file,
)
from localaws.home import ServiceError


def sample(tmp_path, body, classifiers=()):
    path = tmp_path / "file"
    path.write_bytes(body if isinstance(body, bytes) else body.encode())
    return sample_file(path, classifiers)


def types(found):
    return {c["Name"]: c["Type"] for c in columns_of(found.columns)}


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ([{"a": 1}, {"a": 3_000_000_000}], "bigint"),
        ([{"a": 1}, {"a": 0.5}], "double"),
        ([{"a": 1}, {"a": "x"}], "string"),
        ([{"a": True}, {"a": 1}], "string"),
        ([{"a": None}], "string"),
        ([{"a": None}, {"a": 1}], "int"),
        ([{"a": []}], "array<string>"),
        ([{"a": []}, {"a": [1, 2.5]}], "array<double>"),
        ([{"a": {}}], "map<string,string>"),
        ([{"a": {}}, {"a": {"b": 1}}], "struct<b:int>"),
        ([{"a": {"B": 1}}, {"a": {"c-d": "x"}}], "struct<b:int,c-d:string>"),
        ([{"a": {"b": 1}}, {"a": 5}], "string"),
        ([{"a": [{"b": 1}, {"c": {"d": []}}]}], "array<struct<b:int,c:struct<d:array<string>>>>"),
        ([{"a": {"s3://x/y": 1, "z": 2}}], "map<string,int>"),  # the keys are data
        ([{"a": 2**70}], "double"),
    ],
)
def test_json_types(tmp_path, documents, expected):
    found = sample(tmp_path, "\n".join(map(json.dumps, documents)))
    assert (found.classification, types(found)) == ("json", {"a": expected})


def test_json_forms(tmp_path):
    assert types(sample(tmp_path, json.dumps({"Frame-No": "0"}, indent=2))) == {"frame-no": "string"}
    assert types(sample(tmp_path, '[{"a": 1}, {"a": 2}]')) == {"array": "array<struct<a:int>>"}
    custom = [{"JsonClassifier": {"Name": "rows", "JsonPath": "$[*]"}}]
    assert types(sample(tmp_path, '[{"a": 1}, {"b": "x"}]', custom)) == {"a": "int", "b": "string"}
    assert types(sample(tmp_path, gzip.compress(b'{"a": 1}'))) == {"a": "int"}
    assert sample(tmp_path, gzip.compress(b'{"a": 1}')).compression == "gzip"
    assert types(sample(tmp_path, b'\xef\xbb\xbf{"a": 1}')) == {"a": "int"}


def test_bad_lines_are_counted_and_the_rest_is_kept(tmp_path):
    found = sample(tmp_path, '{"a": 1}\n{"a": 2, "b"\n{"c": true}\n')
    assert types(found) == {"a": "int", "c": "boolean"}
    assert "1 lines are not JSON" in found.problems[0]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b'{"a": [1, 2', "not valid JSON"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "binary"),
        (b"PAR1 but nothing else", "Parquet footer"),
        (gzip.compress(b'{"a": 1}' * 1000, mtime=0)[:-20], "truncated gzip"),
        (b"just words in a text file\n", "neither JSON"),
        (b"BZh9 whatever", "bzip2"),
    ],
)
def test_unreadable_files_say_why(tmp_path, body, reason):
    with pytest.raises(Unreadable, match=reason):
        sample(tmp_path, body)


def test_parquet_types_come_from_the_footer(tmp_path):
    schema = pa.schema(
        [
            ("Worker", pa.string()), ("n", pa.int64()), ("i", pa.int32()), ("d", pa.float64()),
            ("t", pa.timestamp("us")), ("b", pa.bool_()),
            ("day", pa.date32()), ("m", pa.map_(pa.string(), pa.int32())), ("dec", pa.decimal128(5, 2)),
            ("s", pa.struct([("A-b", pa.list_(pa.struct([("x", pa.binary())])))])),
        ]
    )  # fmt: skip
    pq.write_table(schema.empty_table(), tmp_path / "p")
    found = sample_file(tmp_path / "p")
    assert found.classification == "parquet"
    assert types(found) == {
        "worker": "string", "n": "bigint", "i": "int", "d": "double", "t": "timestamp", "b": "boolean", "day": "date",
        "m": "map<string,int>", "dec": "decimal(5,2)", "s": "struct<a-b:array<struct<x:binary>>>",
    }  # fmt: skip


def test_csv(tmp_path):
    found = sample(tmp_path, "Name,Age,Score\nada,36,1.5\nbob,41,2\n")
    assert (types(found), dict(found.serde)) == (
        {"name": "string", "age": "bigint", "score": "double"},
        {"delimiter": ",", "header": "1"},
    )
    found = sample(tmp_path, "1|x\n2|y\n")
    assert (types(found), dict(found.serde)) == ({"col0": "bigint", "col1": "string"}, {"delimiter": "|"})
    found = sample(tmp_path, 'id\ttext\n1\t"a\tb"\n2\t"c"\n')
    assert dict(found.serde) == {"delimiter": "\t", "header": "1", "quote": '"'}
    # All text: Glue cannot tell a header from data.
    assert types(sample(tmp_path, "a,b\nc,d\n")) == {"col0": "string", "col1": "string"}
    custom = [{"CsvClassifier": {"Name": "c", "Delimiter": ";", "ContainsHeader": "ABSENT", "Header": ["x", "y"]}}]
    assert types(sample(tmp_path, "1;2\n3;4\n", custom)) == {"x": "bigint", "y": "bigint"}


def test_a_large_manifest_is_sampled_to_its_end(tmp_path):
    """The field that only the last line has is found, and only some windows of the file are read."""
    line = json.dumps({"source-ref": "s3://b/" + "x" * 200}) + "\n"
    body = line * (3 * SAMPLE // len(line)) + '{"late": 1}\n'
    assert types(sample(tmp_path, body)) == {"source-ref": "string", "late": "int"}


def test_a_huge_single_document_is_understood_from_its_start(tmp_path):
    entry = json.dumps({"frame-no": "0", "annotations": [{"height": 1}]})
    body = '{"tracking-annotations": [' + ",".join([entry] * (SAMPLE // len(entry) + 10)) + "]}"
    assert types(sample(tmp_path, body)) == {
        "tracking-annotations": "array<struct<frame-no:string,annotations:array<struct<height:int>>>>"
    }


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from("xyz"), json_values, max_size=3), st.data())
def test_a_cut_document_closes_to_json(document, data):
    text = json.dumps(document).encode()
    cut = data.draw(st.integers(0, len(text)))
    try:
        closed = close_document(text[:cut])
    except ValueError:
        return
    json.loads(closed)


@given(st.lists(json_values, max_size=4), st.lists(json_values, max_size=4))
def test_merging_samples_is_like_reading_them_together(left, right):
    def kind_of(values):
        kind = None
        for value in values:
            kind = absorb(kind, {"v": value})
        return kind

    together = kind_of([*left, *right])
    apart = merge(kind_of(left), kind_of(right))
    assert hive_type(together) == hive_type(apart)


def test_struct_types_do_not_repeat_keys_that_differ_in_case():
    assert hive_type(absorb(Struct(), {"Audit": 1, "audit": 2})) == "struct<audit:int>"


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.csv", "a.csv", True),
        ("*.csv", "x/a.csv", False),
        ("**.csv", "x/a.csv", True),
        ("**/temp/**", "x/temp/y/z", True),
        ("**/temp/**", "temp/y", False),
        ("temp/**", "temp/y", True),
        ("*.{java,class}", "A.class", True),
        ("foo.?", "foo.x", True),
        ("foo.?", "foo./", False),
        ("data/[!a]*", "data/b1", True),
        ("data/[a-c]1", "data/b1", True),
        ("a\\*b", "a*b", True),
        ("a\\*b", "axb", False),
    ],
)
def test_exclude_patterns(pattern, path, matches):
    assert bool(glob(pattern).fullmatch(path)) is matches


@pytest.mark.parametrize("pattern", ["[a", "{a,b", "{a,{b}}"])
def test_broken_patterns_are_refused(pattern):
    with pytest.raises(ServiceError, match="exclude pattern"):
        glob(pattern)
