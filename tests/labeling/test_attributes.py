"""The views made of the attributes that an environment names."""

import pytest

from sextant.labeling.views import report_views


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
