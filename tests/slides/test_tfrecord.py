import io
import os
import struct
import threading
import tracemalloc
from itertools import pairwise

import google_crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sextant.slides import tfrecord
from sextant.slides.errors import RecordError

payloads = st.lists(st.binary(max_size=300), max_size=8)


def crc32c(data):
    """CRC32C bit by bit (Castagnoli, reflected 0x82F63B78): slow, and independent of the library."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def shard(*bodies):
    stream = io.BytesIO()
    assert tfrecord.write(stream, bodies) == len(bodies)
    return stream.getvalue()


def contents(body, name="train/part-00000"):
    return list(tfrecord.read(io.BytesIO(body), name))


# RFC 3720, B.4
@pytest.mark.parametrize(
    ("data", "crc"),
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
        (
            bytes.fromhex(
                "01c00000 00000000 00000000 00000000 14000000 00000400"
                "00000014 00000018 28000000 00000000 02000000 00000000"
            ),
            0xD9963A56,
        ),
    ],
)
def test_crc_is_that_of_the_standard(data, crc):
    assert google_crc32c.value(data) == crc == crc32c(data)


def test_crc_is_of_the_fast_kind():
    assert google_crc32c.implementation == "c"


def test_a_record_is_framed_as_tensorflow_does():
    def masked(data):
        crc = crc32c(data)
        return struct.pack("<I", ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) % 2**32)

    length = struct.pack("<Q", 9)
    assert tfrecord.frame(b"123456789") == length + masked(length) + b"123456789" + masked(b"123456789")
    assert len(tfrecord.frame(b"")) == tfrecord.FRAME_BYTES == 16


@given(payloads)
def test_what_was_written_is_read(bodies):
    assert contents(shard(*bodies)) == bodies


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5), st.data())
def test_a_cut_is_told_with_record_and_offset(bodies, data):
    whole = shard(*bodies)
    starts = [len(shard(*bodies[:n])) for n in range(len(bodies) + 1)]
    cut = data.draw(st.integers(0, len(whole) - 1).filter(lambda at: at not in starts))
    number = sum(start <= cut for start in starts) - 1
    read = tfrecord.read(io.BytesIO(whole[:cut]), "valid/part-00003")
    for body in bodies[:number]:
        assert next(read) == body
    with pytest.raises(RecordError, match=rf"^valid/part-00003: record {number} at byte {starts[number]} is cut off"):
        next(read)


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=4), st.data())
def test_a_flipped_bit_is_told_with_record_and_offset(bodies, data):
    whole = bytearray(shard(*bodies))
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8
    starts = [len(shard(*bodies[:n])) for n in range(len(bodies) + 1)]
    number = next(n for n, (start, end) in enumerate(pairwise(starts)) if start <= bit // 8 < end)
    with pytest.raises(RecordError, match=rf"^part: record {number} at byte {starts[number]} .*damaged"):
        contents(bytes(whole), "part")


@pytest.mark.parametrize("length", [tfrecord.LONGEST + 1, 1 << 40, (1 << 64) - 1])
def test_a_length_that_no_tile_has_is_refused(length):
    head = struct.pack("<Q", length)
    forged = head + tfrecord.frame(head)[-4:]
    with pytest.raises(RecordError, match=f"part: record 0 at byte 0 claims {length} bytes"):
        contents(forged + b"rest", "part")


def test_a_long_length_reserves_no_memory():
    head = struct.pack("<Q", tfrecord.LONGEST)
    tracemalloc.start()
    with pytest.raises(RecordError, match="cut off: 4 of"):
        contents(head + tfrecord.frame(head)[-4:] + b"rest")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


def test_another_kind_of_file_is_told():
    with pytest.raises(RecordError, match=r"slide\.svs: record 0 at byte 0 has a damaged length: this is no TFRecord"):
        contents(b"II*\0" + bytes(100), "slide.svs")


def test_a_fifo_is_read_whole(tmp_path):
    fifo = tmp_path / "train_0"
    os.mkfifo(fifo)
    bodies = [os.urandom(size) for size in (0, 1, 70_000, 3_000_000, 5)]

    def feed():
        with fifo.open("wb") as stream:
            tfrecord.write(stream, bodies)

    feeder = threading.Thread(target=feed)
    feeder.start()
    with fifo.open("rb", buffering=0) as stream:  # unbuffered: reads come back short
        assert list(tfrecord.read(stream, "train_0")) == bodies
    feeder.join()


@given(payloads)
def test_the_index_finds_every_record(tmp_path_factory, bodies):
    path = tmp_path_factory.mktemp("index") / "part"
    whole = shard(*bodies)
    path.write_bytes(whole)
    places = tfrecord.index(path)
    assert [whole[offset : offset + length] for offset, length in places] == [tfrecord.frame(body) for body in bodies]


def test_the_index_tells_a_cut(tmp_path):
    path = tmp_path / "part-00001"
    path.write_bytes(shard(b"one", b"two")[:-1])
    with pytest.raises(RecordError, match="part-00001: record 1 at byte 19 is cut off: 18 of 19 bytes"):
        tfrecord.index(path)
    path.write_bytes(shard(b"one", b"two")[:-17])
    with pytest.raises(RecordError, match="part-00001: record 1 at byte 19 is cut off: 2 of the 12 bytes of its head"):
        tfrecord.index(path)
