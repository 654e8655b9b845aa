"""The package that a packaging job makes: the same bytes each time, and it works where it is installed."""

import io
import json
import os
import subprocess
import sys
import tomllib
import venv
import zipfile
from email.parser import Parser

import pytest

from sextant.inspection import archive, detector, photograph, saving, training
from sextant.inspection.edge import __main__ as command
from sextant.inspection.edge.bundle import bundle, modules
from sextant.inspection.settings import DetectorSettings
from tests.inspection import made

MODEL = b"\x1f\x8b a model"


def test_the_same_model_makes_the_same_package():
    first = bundle(MODEL, "lego")
    assert first == bundle(MODEL, "lego")
    with zipfile.ZipFile(io.BytesIO(first)) as package:
        names = package.namelist()
        assert names[:5] == ["README.md", "install.sh", "model.tar.gz", "requirements.txt", "sextant-edge.toml"]
        (wheel,) = names[5:]
        assert package.read("model.tar.gz") == MODEL
        assert package.getinfo("install.sh").external_attr >> 16 == 0o100755
        assert tomllib.loads(package.read("sextant-edge.toml").decode())["project"] == "lego"
        with zipfile.ZipFile(io.BytesIO(package.read(wheel))) as content:
            inside = content.namelist()
            (metadata,) = (name for name in inside if name.endswith("METADATA"))
            told = Parser().parsestr(content.read(metadata).decode())
    assert wheel == f"sextant_edge-{told['Version']}-py3-none-any.whl"
    assert "sextant/inspection/edge/page/page.js" in inside
    assert "sextant/inspection/detector.py" in inside
    for foreign in ("labeling", "slides", "console", "/loop/", "training", "bundle.py"):
        assert not [name for name in inside if foreign in name]


def test_the_device_has_what_its_modules_import():
    """Run by a Python that sees nothing but them, numpy, ONNX Runtime, Pillow, pydantic and what the cloud needs."""
    names = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in modules() if name[-3:] == ".py"
    ]
    forbidden = ("scipy", "onnx", "pyarrow", "duckdb", "simplejpeg")
    script = (
        f"import sys\nfor each in {forbidden!r}: sys.modules[each] = None\nimport importlib\n"
        f"for each in {names!r}: importlib.import_module(each)\n"
        "assert not [n for n in sys.modules if n.startswith('sextant.') and n not in set(sys.argv[1:])]\n"
    )
    subprocess.run([sys.executable, "-c", script, *names], check=True, timeout=60)


@pytest.mark.parametrize(("model", "project", "told"), [(b"PK", "lego", "no model.tar.gz"), (MODEL, 'a"b', "no name")])
def test_what_is_no_model_or_no_name_is_refused(model, project, told):
    with pytest.raises(ValueError, match=told):
        bundle(model, project)


def write(folder, **more):
    text = 'project = "lego"\nmodel = "model.tar.gz"\nhealth_port = 0\n[belt]\nbeam_pin = 17\npusher_pin = 27\n'
    (folder / "sextant-edge.toml").write_text(f"{text}travel_s = {more.get('travel_s', 0.5)}\n")
    return str(folder / "sextant-edge.toml")


def test_the_command_simulates_and_tells_what_was_sorted(tmp_path, model, capsys):
    model()
    (tmp_path / "photos" / "normal").mkdir(parents=True)
    (tmp_path / "photos" / "anomaly").mkdir()
    (tmp_path / "photos" / "normal" / "a.jpg").write_bytes(b"accept a")
    (tmp_path / "photos" / "anomaly" / "b.jpg").write_bytes(b"reject b")
    config = write(tmp_path)
    simulated = [
        "simulate",
        "--config",
        config,
        "--photographs",
        str(tmp_path / "photos"),
        "--rate",
        "4",
        "--items",
        "4",
    ]
    assert command.main([*simulated, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["sorted"], told["as_said"], told["defective"], told["defective_passed"]) == (4, 4, 2, 0)
    assert [each["pushed"] for each in told["items"]] == [True, False, True, False]
    assert command.main(["status", "--config", config, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["totals"]["items"] == 4
    assert command.main(["status", "--config", config]) == 0
    assert "items 4, passed 2, pushed 2" in capsys.readouterr().out
    assert command.main(simulated) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1].startswith("4 items, 4 sorted as their verdict says. Of 2 defective ones 0 passed; 0 normal ones")
    assert out[0].split()[:4] == ["5", "anomaly/b.jpg", "defective", "reject"]


def test_the_unit_starts_this_environment_and_is_killed_when_it_falls_silent(tmp_path, capsys):
    config = write(tmp_path)
    assert command.main(["install-service", "--config", config]) == 0
    unit = capsys.readouterr().out
    assert f"ExecStart={sys.executable} -m sextant.inspection.edge run --config {config}\n" in unit
    assert "WatchdogSec=10\n" in unit
    assert f"ReadWritePaths={tmp_path}\n" in unit


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["run", "--config", "{folder}/none.toml"], 2, "name the file with --config"),
        (["run", "--config", "{config}"], 1, "give a model.tar.gz or a folder"),
        (["status", "--config", "{config}"], 2, "the sorter has not run yet"),
        (["simulate", "--config", "{config}", "--photographs", "{folder}/none"], 2, "holds no JPEG or PNG"),
    ],
)
def test_the_command_tells_faults_in_a_sentence(tmp_path, capsys, arguments, code, told):
    places = {"folder": str(tmp_path), "config": write(tmp_path)}
    assert command.main([each.format(**places) for each in arguments]) == code
    assert told in capsys.readouterr().err


def trained(folder):
    """A real archive, small; and photographs that it has not seen."""
    found = training.train(made.examples(made.plate, 12, 6), DetectorSettings(input_px=160, bank_patches=500))
    saving.save(found, folder / "archive")
    for number, defect in enumerate([None, "scratch", None, "hole", None, None]):
        place = folder / "photos" / ("anomaly" if defect else "normal")
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.jpg").write_bytes(made.jpeg(made.plate(900 + number, defect=defect)[0]))
    return archive.pack(folder / "archive")


@pytest.mark.slow
def test_the_package_installs_where_nothing_else_is_and_sorts(tmp_path):
    package = bundle(trained(tmp_path), "plates")
    with zipfile.ZipFile(io.BytesIO(package)) as content:
        content.extractall(tmp_path / "package")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    venv.create(tmp_path / "bare", with_pip=True)
    install = ["sh", str(tmp_path / "package" / "install.sh"), str(tmp_path / "device")]
    bare = environment | {"PYTHON": str(tmp_path / "bare" / "bin" / "python")}
    subprocess.run(install, env=bare, check=True, timeout=900)
    program = tmp_path / "device" / "venv" / "bin" / "sextant-edge"
    config = tmp_path / "device" / "sextant-edge.toml"
    text = config.read_text().replace("# health_port = 8765 ", "health_port = 0 ")
    config.write_text(text.replace("# within_s = 0.15 ", "within_s = 1.0 "))  # this machine may be busy
    simulated = [
        "simulate",
        "--config",
        str(config),
        "--photographs",
        str(tmp_path / "photos"),
        "--items",
        "6",
        "--json",
    ]
    done = subprocess.run(
        [str(program), *simulated], env=environment, cwd=tmp_path, capture_output=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    told = json.loads(done.stdout)
    assert (told["sorted"], told["as_said"], told["defective"]) == (6, 6, 2)
    here = archive.load(tmp_path / "archive")
    for each in told["items"]:
        expected = detector.detect(here, photograph.read((tmp_path / "photos" / each["product"]).read_bytes()))
        assert each["verdict"] == expected.verdict
        assert each["confidence"] == pytest.approx(expected.confidence, abs=1e-4)
    where = [str(tmp_path / "device" / "venv" / "bin" / "python"), "-c", "import sextant; print(sextant.__file__)"]
    found = subprocess.run(where, env=environment, cwd=tmp_path, capture_output=True, check=True).stdout.decode()
    assert found.startswith(str(tmp_path / "device"))
