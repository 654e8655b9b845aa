"""The configuration file: what can be wrong with it is told in words."""

import pytest

from sextant.inspection.edge import bundle
from sextant.inspection.edge.settings import ConfigurationError, load

GOOD = 'project = "lego"\nmodel = "model.tar.gz"\n'
BELT = "[belt]\nbeam_pin = 17\npusher_pin = 27\ntravel_s = 1.2\n"


def test_a_short_file_is_enough_and_paths_are_relative_to_it(tmp_path):
    (tmp_path / "edge.toml").write_text(GOOD + BELT)
    found = load(tmp_path / "edge.toml")
    assert (found.model, found.store) == (tmp_path / "model.tar.gz", tmp_path / "store.sqlite")
    assert (found.belt.travel_s, found.belt.beam_pin, found.cloud) == (1.2, 17, None)


def test_the_packages_example_is_right_and_its_comments_show_the_defaults(tmp_path):
    example = bundle._text("example.toml").replace("{project}", "lego")
    (tmp_path / "a.toml").write_text(example)
    found = load(tmp_path / "a.toml")
    shown = [
        line.removeprefix("# ").replace("…", "x") if " = " in line or line.startswith("# [") else line
        for line in example.splitlines()
        if not line.startswith(("# command", "# The sorter"))
    ]
    (tmp_path / "b.toml").write_text("\n".join(shown))
    told = load(tmp_path / "b.toml")
    assert told.model_copy(update={"cloud": None}) == found
    assert told.cloud is not None
    cloud = type(told.cloud)(bucket="x", endpoint="https://x", region="eu-west-1")
    assert told.cloud == cloud


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("project = lego", "is no TOML"),
        (GOOD, "belt: Field required"),
        (GOOD + BELT + "speed = 2\n", "belt.speed: there is no such field"),
        (GOOD + BELT.replace("27", "17"), "beam_pin and pusher_pin are both 17"),
        (GOOD + BELT.replace("1.2", "0.04"), r"settle_s \(0.05\) must be shorter than travel_s \(0.04\)"),
        (GOOD + BELT.replace("1.2", "nan"), "belt.travel_s: .*finite number"),
        (GOOD + BELT.replace("27", "99"), r"belt.pusher_pin: .*less than or equal to 27 \(given: 99\)"),
        ('project = "lego"\n' + BELT, "nobody would judge"),
        ('project = "a/b"\nmodel = "m"\n' + BELT, "project: .*pattern"),
        (GOOD + BELT + '[camera]\nkind = "command"\n', "give command = "),
        (GOOD + BELT + '[camera]\ncommand = ["x"]\n', "give command = "),
        (GOOD + BELT + '[cloud]\nregion = "eu-west-1"\n', "leave .cloud. out"),
        (GOOD + BELT + '[cloud]\nbucket = "x"\nforward = ["bad"]\n', "cloud.forward.0"),
    ],
)
def test_a_fault_names_the_field_and_the_reason(tmp_path, text, told):
    (tmp_path / "edge.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=told):
        load(tmp_path / "edge.toml")


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file or directory: name the file with --config"):
        load(tmp_path / "edge.toml")
