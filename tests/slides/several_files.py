"""Slides of several files, made after the documented layouts of their formats: OpenSlide reads each of them."""

import io
import struct

import numpy as np
from PIL import Image

SIDE = 256
_WSI = "1.2.840.10008.5.1.4.1.1.77.1.6"  # VL Whole Slide Microscopy Image Storage
_BASELINE = "1.2.840.10008.1.2.4.50"


def jpeg(pixels, **options):
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(stream, "JPEG", quality=90, **options)
    return stream.getvalue()


def cells(pixels):
    """JPEGs of SIDE x SIDE pixels, row by row; the picture is of whole cells."""
    height, width = pixels.shape[:2]
    return [jpeg(pixels[y : y + SIDE, x : x + SIDE]) for y in range(0, height, SIDE) for x in range(0, width, SIDE)]


def write_mirax(path, pixels):
    """One zoom level; openslide.org/formats/mirax describes Slidedat.ini and the linked pages of Index.dat."""
    folder = path.with_suffix("")
    folder.mkdir()
    images = cells(pixels)
    (folder / "Data0000.dat").write_bytes(b"".join(images))
    beginning = b"01.02" + b"A0B1C2D3"
    table = len(beginning) + 8  # after the two roots; then the list of the only level, and its only page
    starts = np.cumsum([0, *map(len, images[:-1])]).tolist()
    entries = [
        struct.pack("<4i", number, at, len(each), 0)
        for number, (at, each) in enumerate(zip(starts, images, strict=True))
    ]
    links = struct.pack("<6i", table, 0, table + 4, 0, table + 12, len(entries)) + struct.pack("<i", 0)
    (folder / "Index.dat").write_bytes(beginning + links + b"".join(entries))
    (folder / "Slidedat.ini").write_text(
        f"""[GENERAL]
SLIDE_ID = A0B1C2D3
IMAGENUMBER_X = {pixels.shape[1] // SIDE}
IMAGENUMBER_Y = {pixels.shape[0] // SIDE}
OBJECTIVE_MAGNIFICATION = 20
[HIERARCHICAL]
HIER_COUNT = 1
NONHIER_COUNT = 0
INDEXFILE = Index.dat
HIER_0_NAME = Slide zoom level
HIER_0_COUNT = 1
HIER_0_VAL_0_SECTION = LAYER_0_LEVEL_0_SECTION
[DATAFILE]
FILE_COUNT = 1
FILE_0 = Data0000.dat
[LAYER_0_LEVEL_0_SECTION]
OVERLAP_X = 0
OVERLAP_Y = 0
MICROMETER_PER_PIXEL_X = 0.5
MICROMETER_PER_PIXEL_Y = 0.5
IMAGE_FILL_COLOR_BGR = 16777215
DIGITIZER_WIDTH = {SIDE}
DIGITIZER_HEIGHT = {SIDE}
IMAGE_FORMAT = JPEG
IMAGE_CONCAT_FACTOR = 0
"""
    )
    path.write_bytes(jpeg(pixels[:64, :64]))


def write_vms(path, pixels):
    """One image with a restart marker every 11 blocks, which OpenSlide reads as tiles, and a map four times smaller."""
    name = path.stem
    for part, image in ((f"{name}.jpg", pixels), (f"{name}_map.jpg", pixels[::4, ::4])):
        path.with_name(part).write_bytes(jpeg(image, restart_marker_blocks=11, subsampling="4:4:4"))
    told = "[Virtual Microscope Specimen]\nNoJpegColumns=1\nNoJpegRows=1\n"
    path.write_text(f"{told}ImageFile={name}.jpg\nMapFile={name}_map.jpg\n{_hamamatsu(pixels)}")


def write_vmu(path, pixels):
    """Pixels of 12 bits in columns of 64, uncompressed (NGR)."""
    name = path.stem
    for part, image in ((f"{name}.ngr", pixels), (f"{name}_map.ngr", pixels[::4, ::4])):
        height, width = image.shape[:2]
        columns = b"".join((image[:, x : x + 64].astype("<u2") << 4).tobytes() for x in range(0, width, 64))
        head = struct.pack("<2s2xiii8xi", b"GN", width, height, 64, 64).ljust(64, b"\0")
        path.with_name(part).write_bytes(head + columns)
    told = "[Uncompressed Virtual Microscope Specimen]\nBitsPerPixel=36\nPixelOrder=RGB\n"
    path.write_text(f"{told}ImageFile={name}.ngr\nMapFile={name}_map.ngr\n{_hamamatsu(pixels)}")


def _hamamatsu(pixels):
    height, width = pixels.shape[:2]
    return f"NoLayers=1\nSourceLens=20\nPhysicalWidth={width * 500}\nPhysicalHeight={height * 500}\n"


def write_dicom(path, pixels, series="1.2.3.5"):
    """Two instances of a series, each a level (DICOM PS3.3 A.32.8): `path`, and `{stem}_4.dcm` four times smaller."""
    small = np.asarray(Image.fromarray(pixels).reduce(4))
    small = np.pad(small, ((0, -small.shape[0] % SIDE), (0, -small.shape[1] % SIDE), (0, 0)), "edge")
    _write_instance(path, pixels, pixels.shape, series, 1)
    size = (pixels.shape[0] // 4, pixels.shape[1] // 4)
    _write_instance(path.with_name(f"{path.stem}_4.dcm"), small, size, series, 4)


def _write_instance(path, pixels, size, series, down):
    frames = cells(pixels)
    instance = f"{series}.{down}"
    spacing = f"{0.0005 * down}\\{0.0005 * down}"
    meta = b"".join(
        [
            _element(2, 1, "OB", b"\0\1"),
            _element(2, 2, "UI", _WSI),
            _element(2, 3, "UI", instance),
            _element(2, 0x10, "UI", _BASELINE),
            _element(2, 0x12, "UI", "1.2.3.4"),
        ]
    )
    attributes = [
        _element(0x08, 0x08, "CS", "ORIGINAL\\PRIMARY\\VOLUME\\NONE"),
        _element(0x08, 0x16, "UI", _WSI),
        _element(0x08, 0x18, "UI", instance),
        _element(0x08, 0x60, "CS", "SM"),
        _sequence(0x08, 0x1115, _element(0x20, 0x0E, "UI", "1.2.3.9")),  # another series, which the slide refers to
        _element(0x20, 0x0D, "UI", "1.2.3"),
        _element(0x20, 0x0E, "UI", series),
        _element(0x20, 0x9311, "CS", "TILED_FULL"),
        _element(0x28, 0x02, "US", struct.pack("<H", 3)),
        _element(0x28, 0x04, "CS", "YBR_FULL_422"),
        _element(0x28, 0x06, "US", struct.pack("<H", 0)),
        _element(0x28, 0x08, "IS", str(len(frames))),
        *(_element(0x28, tag, "US", struct.pack("<H", SIDE)) for tag in (0x10, 0x11)),
        *(_element(0x28, 0x100 + tag, "US", struct.pack("<H", each)) for tag, each in enumerate((8, 8, 7, 0))),
        *(_element(0x48, tag, "UL", struct.pack("<I", each)) for tag, each in ((6, size[1]), (7, size[0]))),
        _sequence(0x48, 0x105, _element(0x48, 0x112, "DS", "20")),
        _sequence(0x5200, 0x9229, _sequence(0x28, 0x9110, _element(0x28, 0x30, "DS", spacing))),
    ]
    data = struct.pack("<HH", 0x7FE0, 0x10) + b"OB" + struct.pack("<HI", 0, 0xFFFFFFFF)
    data += b"".join(map(_item, [b"", *frames])) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    length = _element(2, 0, "UL", struct.pack("<I", len(meta)))
    path.write_bytes(bytes(128) + b"DICM" + length + meta + b"".join(attributes) + data)


def _element(group, number, kind, value):
    """In explicit little endian form, padded to an even length."""
    body = value.encode() if isinstance(value, str) else value
    body += (b"\0" if kind == "UI" else b" ") * (len(body) % 2)
    length = struct.pack("<HI", 0, len(body)) if kind in {"OB", "SQ"} else struct.pack("<H", len(body))
    return struct.pack("<HH", group, number) + kind.encode() + length + body


def _sequence(group, number, body):
    return _element(group, number, "SQ", _item(body))


def _item(body):
    body += b"\0" * (len(body) % 2)
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(body)) + body
