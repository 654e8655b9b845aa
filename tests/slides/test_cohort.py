"""slides.csv as spreadsheets and people make it, and files that are not what their rows say."""

import io
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from sextant.container import InputError
from sextant.slides.cohort import Row, gather, read_table, slide_name
from sextant.slides.cohort_headers import check_header
from sextant.slides.errors import SlideError
from sextant.slides.plan import Plan, make_plan

DATA = Path(__file__).parents[3] / "shared" / "data" / "slides"
ROWS = [Row("a", "P1", "LUAD"), Row("b", "P2", "LUSC")]


@pytest.mark.parametrize(
    "body",
    [
        b"slide,patient,label\na,P1,LUAD\nb,P2,LUSC\n",
        b"\xef\xbb\xbfslide,patient,label\r\na,P1,LUAD\r\n\r\nb,P2,LUSC",
        b"Slide;Patient;Label\n a ; P1;LUAD\nb;P2;LUSC\n;;\n",
        b"label\tslide\tpatient\nLUAD\ta\tP1\nLUSC\tb\tP2\n",
        b'"slide","patient","label","age"\n"a","P1","LUAD",5\n"b","P2","LUSC"\n',
        b"slide,patient,label\na,P1,LUAD\nslide,patient,label\nb,P2,LUSC\n",
    ],
)
def test_one_table_in_many_spellings(body):
    assert read_table(body) == ROWS


def test_a_slide_may_be_told_by_its_file():
    body = b"slide,patient,label\nx/y/a.SVS,P1,LUAD\nb.tiff,P2,LUSC\nTCGA-05-4245.0f3a,P3,LUAD\n"
    assert [(row.slide, row.key) for row in read_table(body)] == [
        ("a", "x/y/a.SVS"),
        ("b", "b.tiff"),
        ("TCGA-05-4245.0f3a", ""),
    ]
    keyed = read_table(b"slide,patient,label,file\na,P1,LUAD,scan 7.ndpi\n")
    assert keyed == [Row("a", "P1", "LUAD", "scan 7.ndpi")]


def test_quoted_commas_and_line_ends_are_part_of_a_value():
    assert read_table(b'slide,patient,label\na,"Doe, J",LUAD\n')[0].patient == "Doe, J"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", r"needs each of the columns slide, patient, label once in its first line, which is ''"),
        (b"slide,label\na,LUAD\n", "needs each of the columns"),
        (b"slide,patient,label,label\na,P1,LUAD,LUSC\n", "needs each of the columns"),
        (b"slide,patient,label\n\n", "has no row"),
        (b"slide,patient,label\nM\xfcller,P,L\n", r"not UTF-8 \(byte 21\)"),
        ("slide,patient,label\na,P,L".encode("utf-16-le"), "zero bytes"),
    ],
)
def test_what_is_no_table_is_told(body, message):
    with pytest.raises(InputError, match=message):
        read_table(body)


def tiff(content):
    """The smallest TIFF with one tile (16x16 grey), which is its content."""
    tile = content.ljust(256, b"\0")
    entries = [(256, 16), (257, 16), (258, 8), (259, 1), (262, 1), (277, 1), (322, 16), (323, 16), (324, 8), (325, 256)]
    packed = b"".join(
        tag.to_bytes(2, "little") + (4).to_bytes(2, "little") + (1).to_bytes(4, "little") + value.to_bytes(4, "little")
        for tag, value in entries
    )
    directory = len(entries).to_bytes(2, "little") + packed + bytes(4)
    return b"II*\0" + (8 + len(tile)).to_bytes(4, "little") + tile + directory


def tiff_of(text):
    return tiff(text.encode())


@pytest.fixture
def slides(tmp_path):
    for name in "abcdefgh":
        (tmp_path / f"{name}.svs").write_bytes(tiff_of(name))
    return tmp_path


def reasons(cohort):
    return {each.slide: each.reason for each in cohort.quarantined}


def test_sound_rows_get_their_files(slides):
    cohort = gather([Row("b", "P2", "LUSC"), Row("a", "P1", "LUAD")], str(slides))
    assert [(row.slide, row.key, row.size) for row in cohort.rows] == [("a", "a.svs", 390), ("b", "b.svs", 390)]
    assert cohort.quarantined == ()
    assert [(each.slide, each.reason) for each in cohort.notes] == [(name, "not in slides.csv") for name in "cdefgh"]


def test_rows_that_contradict_each_other_or_say_too_little(slides):
    rows = [
        *(Row("a", "P1", "LUAD"), Row("a", "P1", "LUAD")),
        *(Row("b", "P1", "LUAD"), Row("b", "P1", "LUSC")),
        *(Row("c", "P1", "LUAD"), Row("c", "P2", "LUAD")),
        *(Row("d", "", "LUAD"), Row("e", "P1", ""), Row("", "P1", "LUAD")),
        *(Row("f", "P3", "LUAD", "f.svs"), Row("f", "P3", "LUAD", "g.svs")),
        Row("../h", "P4", "LUAD"),
    ]
    cohort = gather(rows, str(slides))
    assert [row.slide for row in cohort.rows] == ["a"]
    assert reasons(cohort) == {
        "../h": "unusable name",
        "b": "conflicting labels",
        "c": "conflicting patients",
        "d": "incomplete row",
        "e": "incomplete row",
        "f": "conflicting files",
        "row-9": "incomplete row",
    }
    assert next((each.slide, each.reason) for each in cohort.notes) == ("a", "duplicate row")


def test_files_that_are_missing_ambiguous_or_no_slides(slides):
    (slides / "sub").mkdir()
    (slides / "sub" / "a.tiff").write_bytes(tiff_of("other"))
    (slides / "text.svs").write_text("not a slide")
    (slides / "empty.svs").write_bytes(b"")
    (slides / "cut.svs").write_bytes(tiff_of("cut")[:200])
    far = bytearray(tiff_of("far"))
    at = far.index((325).to_bytes(2, "little") + (4).to_bytes(2, "little")) + 8
    far[at : at + 4] = (99_999).to_bytes(4, "little")
    (slides / "far.svs").write_bytes(bytes(far))
    rows = [Row(name, f"P-{name}", "LUAD") for name in ("a", "b", "gone", "text", "empty", "cut", "far")]
    cohort = gather(rows, str(slides))
    assert [row.slide for row in cohort.rows] == ["b"]
    assert reasons(cohort) == {
        "a": "several files",
        "gone": "missing file",
        "text": "not a slide",
        "empty": "truncated file",
        "cut": "truncated file",
        "far": "truncated file",
    }
    told = {each.slide: each.detail for each in cohort.quarantined}
    assert "a.svs, sub/a.tiff" in told["a"]
    assert "column key" in told["a"]
    assert "need 100007" in told["far"]


def test_what_the_reader_warns_of_is_in_the_finding_and_not_on_standard_error(slides):
    whole = tiff_of("c")
    (slides / "c.svs").write_bytes(whole[:4] + (9_999).to_bytes(4, "little") + whole[8:])
    program = (
        "import sys\n"
        "from sextant.slides.cohort import Row, gather\n"
        "print(gather([Row(n, n, 'L') for n in 'abc'], sys.argv[1]).quarantined[0].detail)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(slides)], capture_output=True, text=True, check=True)
    assert "cannot be followed in them (" in done.stdout
    assert "invalid offset to first page 9999" in done.stdout
    assert done.stderr == ""


def test_a_key_without_its_folders_is_found_in_them(slides):
    (slides / "0f3a-uuid").mkdir()
    (slides / "0f3a-uuid" / "z.svs").write_bytes(tiff_of("z"))
    cohort = gather([Row("z", "P", "L"), Row("y", "P", "L", "a.svs")], str(slides))
    assert [(row.slide, row.key) for row in cohort.rows] == [("y", "a.svs"), ("z", "0f3a-uuid/z.svs")]


def test_one_content_under_several_names(slides):
    for copy, original in (("a2", "a"), ("b2", "b"), ("c2", "c")):
        (slides / f"{copy}.svs").write_bytes((slides / f"{original}.svs").read_bytes())
    rows = [
        *(Row("a", "P1", "LUAD"), Row("a2", "P1", "LUAD")),
        *(Row("b", "P2", "LUAD"), Row("b2", "P3", "LUAD")),
        *(Row("c", "P4", "LUAD"), Row("c2", "P4", "LUSC")),
    ]
    cohort = gather(rows, str(slides))
    assert [row.slide for row in cohort.rows] == ["a"]
    assert reasons(cohort) == {
        "a2": "copy of a slide",
        **dict.fromkeys(("b", "b2", "c", "c2"), "conflicting copies"),
    }


def test_the_table_among_the_slides_and_foreign_files_are_nobody_s_business(slides):
    (slides / "slides.csv").write_text("…")
    (slides / ".hidden.svs").write_text("…")
    cohort = gather([Row(name, name, "L") for name in "abcdefgh"], str(slides), ignored=f"{slides}/slides.csv")
    assert cohort.notes == ()
    assert len(cohort.rows) == 8


def test_a_mirax_slide_has_the_bytes_of_its_folder(slides):
    (slides / "m.mrxs").write_bytes(b"\xff\xd8\xff\xe0")
    (slides / "m").mkdir()
    (slides / "m" / "Slidedat.ini").write_bytes(b"12345")
    (slides / "m" / "Data0000.dat").write_bytes(b"1234567")
    assert gather([Row("m", "P", "L")], str(slides)).rows[0].size == 4 + 5 + 7


def test_no_folder_is_told(tmp_path):
    with pytest.raises(InputError, match="give a folder"):
        gather(ROWS, str(tmp_path / "none"))


def test_names():
    assert slide_name("x/TCGA-05.uuid.SVS") == "TCGA-05.uuid"
    assert slide_name("scan.jpg") == "scan.jpg"


@pytest.fixture
def planned(slides):
    """Three patients of each class; the first has two slides."""
    patients = dict(zip("abcdefgh", "PPQRSSTU", strict=True))
    return [Row(name, patients[name], "LUAD" if name < "e" else "LUSC") for name in "abcdefgh"], str(slides)


def test_a_plan_does_not_depend_on_the_order_of_rows(planned):
    rows, slides = planned
    mixed = rows[:]
    random.Random(1).shuffle(mixed)
    plan, again = make_plan(gather(rows, slides), hosts=2), make_plan(gather(mixed, slides), hosts=2)
    assert plan == again
    assert plan.classes == ("LUAD", "LUSC")
    assert {each.slide: each.label_index for each in plan.slides} == dict(
        zip("abcdefgh", [0] * 4 + [1] * 4, strict=True)
    )
    # Three patients a class: one for each split; and the two slides of one stay together.
    assert Counter((label, split) for _, label, split in {(x.patient, x.label, x.split) for x in plan.slides}) == {
        (label, split): 1 for label in ("LUAD", "LUSC") for split in ("train", "valid", "test")
    }
    assert Counter(each.host for each in plan.slides) == {0: 4, 1: 4}
    assert plan.notes == ()
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_a_class_that_a_split_lacks_is_told(planned):
    rows, slides = planned
    for name in "xy":
        (Path(slides) / f"{name}.svs").write_bytes(tiff_of(name))
    plan = make_plan(gather([*rows, Row("x", "X", "normal"), Row("y", "Y", "normal")], slides))
    assert [(each.reason, each.detail) for each in plan.notes] == [
        ("class without slides", "no slide of normal is in valid: add patients of this class")
    ]


def test_classes_as_given_are_the_order_and_others_are_quarantined(planned):
    rows, slides = planned
    for name in "xy":
        (Path(slides) / f"{name}.svs").write_bytes(tiff_of(name))
    cohort = gather([*rows, Row("x", "X", "other"), Row("y", "Y", "")], slides)
    plan = make_plan(cohort, classes=("LUSC", "LUAD"))
    assert plan.classes == ("LUSC", "LUAD")
    assert {(each.label, each.label_index) for each in plan.slides} == {("LUSC", 0), ("LUAD", 1)}
    assert {each.slide: each.reason for each in plan.quarantined} == {"x": "unknown label", "y": "incomplete row"}
    with pytest.raises(InputError, match="twice"):
        make_plan(gather(rows, slides), classes=("LUSC", "LUSC"))


def test_no_host_and_no_fractions_are_told(planned):
    cohort = gather(*planned)
    with pytest.raises(InputError, match="0 hosts: give"):
        make_plan(cohort, hosts=0)
    with pytest.raises(InputError, match="three shares"):
        make_plan(cohort, fractions=(0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    ("labels", "options", "fault"),
    [
        ("LLLLLLLL", {}, r"all slides are of one class, L\. Patients in train/valid/test: L 6/1/1\."),
        ("LLLLNNNN", {"classes": ("L", "M", "N")}, r"no patient of M is in train\. .*: L 2/1/1, M 0/0/0, N 2/1/1\."),
        ("LLLLLLNN", {}, r"valid has patients of L only, and needs two classes\. .*: L 4/1/1, N 1/0/1\."),
        ("LLNN", {}, r"valid has no patient, and needs two classes\. .*: L 1/0/1, N 1/0/1\."),
        ("LLLLNNNN", {"fractions": (0.5, 0.5, 0)}, r"no patient is in test\. .*: L 2/2/0, N 2/2/0\."),
    ],
)
def test_what_cannot_be_trained_is_told_before_any_tiling(slides, labels, options, fault):
    rows = [Row(name, name, label) for name, label in zip("abcdefgh", labels, strict=False)]
    with pytest.raises(InputError, match=f"{fault} Add patients, or plan with another salt or fractions"):
        make_plan(gather(rows, str(slides)), **options)


def test_no_slide_left_is_told_with_the_reasons(slides):
    cohort = gather([Row("x", "P", "L"), Row("y", "P", "L"), Row("a", "", "L")], str(slides))
    with pytest.raises(InputError, match="2 with missing file, 1 with incomplete row"):
        make_plan(cohort)


@pytest.mark.realdata
@pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("CMU-1-Small-Region.svs", None),
        ("TCGA-CR-7395-01A-01-TS1.svs", None),
        ("small_dicom_wsi.dcm", None),
        ("kidney-48-5.tif", "not a slide"),
        ("lc25000-lung-mini.tar", "not a slide"),
    ],
)
def test_real_headers(name, reason):
    path = DATA / name
    with path.open("rb") as stream:
        if reason is None:
            check_header(stream, name, path.stat().st_size)
            return
        with pytest.raises(SlideError) as caught:
            check_header(stream, name, path.stat().st_size)
    assert caught.value.reason == reason


@pytest.mark.realdata
@pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data")
@pytest.mark.parametrize("size", [4, 100, 5_000, 1_000_000])
def test_a_real_slide_cut_off(size):
    body = (DATA / "CMU-1-Small-Region.svs").read_bytes()[:size]
    with pytest.raises(SlideError, match=r"truncated file: cut\.svs has"):
        check_header(io.BytesIO(body), "cut.svs", size)
