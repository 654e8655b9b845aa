"""The label category configuration in both of its spellings, and the views made of its attributes."""

import json

import pytest

from samples.labeling import generate
from sextant.labeling.categories import read_categories
from sextant.labeling.views import report_views


@pytest.mark.parametrize("key", ["attributes", "categoryAttributes"])
@pytest.mark.parametrize("version", ["document-version", "documentVersion"])
def test_both_spellings(key, version):
    found = read_categories(
        json.dumps(
            {
                version: "2020-07-01",
                "labels": [{"label": "Car", key: [{"name": "Moving"}]}, {"label": "Van", key: [{"name": "Moving"}]}],
                "frameAttributes": [{"name": "Quality", "type": "string"}],
                "auditLabelAttributeName": "vehicle-ref",
            }
        )
    )
    assert (found.labels, found.label_attributes, found.frame_attributes) == (("Car", "Van"), ("Moving",), ("Quality",))
    assert found.audited == "vehicle-ref"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("{", "not JSON"),
        ("[]", "list `labels`"),
        ('{"labels":[{}]}', "needs a name"),
        ('{"labels":[],"frameAttributes":3}', "frameAttributes"),
    ],
)
def test_a_wrong_file_is_told_what_is_wrong(body, told):
    with pytest.raises(ValueError, match=told):
        read_categories(body)


def test_the_samples_own_files_name_the_default_attributes(tmp_path):
    generate(tmp_path)
    files = [read_categories(path.read_bytes()) for path in (tmp_path / "label_category_input").rglob("*.json")]
    labels = {name for each in files for name in each.label_attributes}
    frames = {name for each in files for name in each.frame_attributes}
    assert {"vehicle_type", "moving", "audit"} <= labels
    assert frames == {"quality_of_the_frame", "number_of_vehicles"}


def test_configured_attributes_become_columns_and_views():
    views = {each.name: each for each in report_views(("Color",), ("Weather",))}
    assert {"report_color", "report_weather"} <= views.keys()
    assert "report_vehicle_type" not in views
    assert [each.name for each in views["report_label_cube"].columns][-2:] == ["color", "annotations"]


@pytest.mark.parametrize("name", ["a'b", "a b", "", "1st", "x; DROP"])
def test_a_name_that_is_no_column_is_refused(name):
    with pytest.raises(ValueError, match="cannot be a column"):
        report_views((name,), ())


def test_a_name_given_twice_is_refused():
    with pytest.raises(ValueError, match="named twice"):
        report_views(("Color",), ("color",))
