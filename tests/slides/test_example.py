from contextlib import suppress

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from sextant.slides.errors import RecordError
from sextant.slides.example import decode, encode

float32 = st.floats(width=32, allow_nan=False)
int64 = st.integers(-(1 << 63), (1 << 63) - 1)
lists = st.one_of(*(st.lists(each, max_size=6) for each in (st.binary(max_size=40), float32, int64)))
examples = st.dictionaries(st.text(min_size=1, max_size=12), lists, max_size=6)


@pytest.fixture(scope="module")
def Example():  # noqa: N802  a message class
    """tf.train.Example of protobuf's own runtime, from TensorFlow's definition."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="example.proto", package="t", syntax="proto3")

    def message(name, *fields, within=None):
        made = file.message_type.add() if within is None else within.nested_type.add()
        made.name = name
        for number, (label, kind, called, of) in enumerate(fields, 1):
            made.field.add(name=called, number=number, label=label, type=kind, type_name=of)
        return made

    one, many = field.LABEL_OPTIONAL, field.LABEL_REPEATED
    message("BytesList", (many, field.TYPE_BYTES, "value", None))
    message("FloatList", (many, field.TYPE_FLOAT, "value", None))
    message("Int64List", (many, field.TYPE_INT64, "value", None))
    kinds = [(one, field.TYPE_MESSAGE, f"{n}_list", f".t.{n.title()}List") for n in ("bytes", "float", "int64")]
    feature = message("Feature", *kinds)
    feature.oneof_decl.add(name="kind")
    for each in feature.field:
        each.oneof_index = 0
    features = message("Features", (many, field.TYPE_MESSAGE, "feature", ".t.Features.FeatureEntry"))
    entry = message(
        "FeatureEntry",
        (one, field.TYPE_STRING, "key", None),
        (one, field.TYPE_MESSAGE, "value", ".t.Feature"),
        within=features,
    )
    entry.options.map_entry = True
    message("Example", (one, field.TYPE_MESSAGE, "features", ".t.Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Example"))


def filled(Example, features):  # noqa: N803
    message = Example()
    message.features.SetInParent()
    for name, values in features.items():
        feature = message.features.feature[name]
        if values:
            kind = {bytes: "bytes_list", float: "float_list", int: "int64_list"}[type(values[0])]
            getattr(feature, kind).value.extend(values)
    return message


@given(features=examples)
def test_protobuf_reads_what_we_write_and_writes_the_same(Example, features):  # noqa: N803
    message = filled(Example, features)
    ours = encode(features)
    assert Example.FromString(ours) == message
    theirs = message.SerializeToString()
    assert len(ours) == len(theirs)  # byte for byte the same but for the order of a map
    assert decode(theirs) == features


@given(examples)
def test_what_was_encoded_is_decoded(features):
    assert decode(encode(features)) == features


@given(examples)
def test_equal_features_have_equal_bytes(features):
    assert encode(dict(reversed(features.items()))) == encode(features)


def test_bytes_by_hand():
    # Example{features{feature{"a": int64 [5, -1]}}}: tags and lengths counted by hand
    values = bytes.fromhex("0a0b 05 ffffffffffffffffff01")
    entry = bytes.fromhex("0a01 61 120f 1a0d") + values
    assert encode({"a": [5, -1]}) == bytes.fromhex("0a16 0a14") + entry


def test_values_one_by_one_are_read_as_well():
    # proto2 writers do not pack: value = 1 as varint (tag 08) and as fixed32 (tag 0d)
    integers = bytes.fromhex("1a05 0805 08ac02")
    floats = bytes.fromhex("120a 0d0000803f 0d00000040")
    for feature, values in ((integers, [5, 300]), (floats, [1.0, 2.0])):
        entry = bytes.fromhex("0a01 61 12") + bytes((len(feature),)) + feature
        features = b"\x0a" + bytes((len(entry),)) + entry
        assert decode(b"\x0a" + bytes((len(features),)) + features) == {"a": values}


def test_unknown_fields_are_skipped():
    unknown = bytes.fromhex("1005 1d00000000 210000000000000000 2a0161")
    assert decode(unknown + encode({"a": [1]}) + unknown) == {"a": [1]}


@given(st.binary(max_size=200))
def test_any_bytes_are_an_example_or_a_record_error(payload):
    with suppress(RecordError):
        assert all(isinstance(values, list) for values in decode(payload).values())


@given(examples.filter(bool), st.data())
def test_a_cut_example_is_told(features, data):
    whole = encode(features)
    with pytest.raises(RecordError, match=r"are no tf\.train\.Example"):
        decode(whole[: data.draw(st.integers(1, len(whole) - 1))])


def test_mixed_lists_are_refused():
    with pytest.raises(TypeError, match="label mixes float, int"):
        encode({"label": [1, 2.0]})
    with pytest.raises(TypeError, match="label has str: give bytes"):
        encode({"label": ["LUAD"]})


def test_an_integer_of_more_than_64_bits_is_refused():
    with pytest.raises(OverflowError, match="int64"):
        encode({"label": [1 << 63]})


def test_values_that_are_equal_but_of_another_kind_have_their_own_bytes():
    """What records have in common is kept: 1, 1.0 and True are equal, and only two of them are values."""
    assert encode({"a": (1,)}) == bytes.fromhex("0a0c 0a0a 0a0161 1205 1a03 0a0101")
    assert decode(encode({"a": (1.0,)})) == {"a": [1.0]}
    assert type(decode(encode({"a": (1.0,)}))["a"][0]) is float
    assert type(decode(encode({"a": (1,)}))["a"][0]) is int
    assert encode({"a": (0.0,)}) != encode({"a": (-0.0,)})
    with pytest.raises(TypeError, match="bool"):
        encode({"a": (True,)})
    with pytest.raises(TypeError, match="mixes"):
        encode({"a": (1, 1.0)})


def test_a_record_that_is_changed_leaves_the_next_alone():
    payload = encode({"slide/id": (b"S-1",)})
    decode(payload)["slide/id"].append(b"S-2")
    assert decode(payload) == {"slide/id": [b"S-1"]}


@pytest.mark.parametrize("size", [0, 1, 116, 127, 128, 129, 16_383, 16_384, 2_100_000])
def test_protobuf_reads_images_of_every_size(Example, size):  # noqa: N803
    """The size before a field takes one byte up to 127, two up to 16,383, and so on."""
    features = {"image/encoded": (bytes(size), b"\xff" * size, b""), "x": (size,)}
    message = Example()
    message.ParseFromString(encode(features))
    assert tuple(message.features.feature["image/encoded"].bytes_list.value) == features["image/encoded"]
    assert decode(encode(features)) == {name: list(values) for name, values in features.items()}
