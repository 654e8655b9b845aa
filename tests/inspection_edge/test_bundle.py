"""The package that a packaging job makes: the same bytes each time, and it works where it is installed."""

import io
import json
import logging
import os
import shlex
import shutil
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
from sextant.inspection.edge.records import Record, Store
from sextant.inspection.edge.simulation import Product, Sorted
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
    assert command.main(["status", "--config", config]) == 2  # simulated items are not the line's
    (tmp_path / "simulated" / "store.sqlite").rename(tmp_path / "store.sqlite")
    assert command.main(["status", "--config", config, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["totals"]["items"] == 4
    assert command.main(["status", "--config", config]) == 0
    assert "items 4, passed 2, pushed 2, verdict accept 2, verdict reject 2. Waiting" in capsys.readouterr().out
    (tmp_path / "store.sqlite").rename(tmp_path / "simulated" / "store.sqlite")
    assert command.main(simulated) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1].startswith("4 items, 4 sorted as their verdict says. Of 2 defective ones 0 passed; 0 normal ones")
    assert out[0].split()[:4] == ["5", "anomaly/b.jpg", "defective", "reject"]


def sorted_as(verdict, state, reason, *, pushed=None):
    record = Record("a", 1, "", state=state, verdict=verdict, reason=reason, late_ms=1.0)
    return Sorted(Product("a", b"", False), record, state == "pushed" if pushed is None else pushed)


def test_what_was_pushed_although_accepted_is_not_sorted_as_its_verdict_says():
    done = [
        *[sorted_as("accept", "passed", "normal")] * 6,
        *[sorted_as("accept", "pushed", "normal; pushed: its record was not on the disk in time")] * 17,
        *[sorted_as("accept", "pushed", "normal; pushed along with its neighbour")] * 3,
        sorted_as("inspect", "pushed", "no answer in time"),
        sorted_as("reject", "missed", "anomalous; not pushed: the sorter was 0.40 s late"),
        sorted_as("accept", "missed", "normal; not pushed: the sorter was 0.40 s late"),
        sorted_as("reject", "pushed", "anomalous", pushed=False),
    ]
    told = command.summary(done)
    assert (told["sorted"], told["as_said"], told["accepted_pushed"]) == (30, 7, 20)
    assert (
        "30 items, 7 sorted as their verdict says. 20 were pushed although accepted (its record was not on the disk in "
        "time: 17; along with its neighbour: 3). Of 0 defective ones 0 passed"
    ) in command._summed(told)
    assert "although" not in command._summed(command.summary(done[:6]))


def test_who_reads_no_further_ends_the_command_in_peace(tmp_path):
    store = Store(tmp_path / "store.sqlite", keep=100)
    store.write(Record("a", 1, "2026-11-22T04:00:00+00:00")).result()
    store.close()
    reads, writes = os.pipe()
    os.close(reads)
    status = [sys.executable, "-m", "sextant.inspection.edge", "status", "--config", write(tmp_path)]
    done = subprocess.run(status, stdout=writes, stderr=subprocess.PIPE, check=False, timeout=60)
    os.close(writes)
    assert (done.returncode, done.stderr) == (0, b"")


def test_items_without_an_end_are_told_beside_the_counts(tmp_path, capsys):
    store = Store(tmp_path / "store.sqlite", keep=100)
    store.write(Record("a", 1, "2026-11-22T04:00:00+00:00"))
    store.write(Record("b", 2, "2026-11-22T04:00:01+00:00", state="passed", verdict="accept"))
    store.close()
    assert command.main(["status", "--config", write(tmp_path)]) == 0
    assert "items 1, passed 1, verdict accept 1. Not ended, on the belt or for lack of room: 1. " in (
        capsys.readouterr().out
    )
    assert not logging.getLogger("botocore.credentials").isEnabledFor(logging.INFO)


def test_the_unit_is_one_whatever_the_folders_names_are(tmp_path, capsys, monkeypatch):
    folder, environment = tmp_path / 'my folder "new" \\ 100% $HOME', tmp_path / "my 100% $HOME"
    folder.mkdir()
    environment.mkdir()
    python = environment / "python"
    python.symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(python))
    assert command.main(["install-service", "--config", write(folder)]) == 0
    unit = capsys.readouterr().out
    escaped = 'my folder \\"new\\" \\\\ 100%% $HOME'
    assert f'ExecStart=":{tmp_path}/my 100%% $HOME/python" -m sextant.inspection.edge run --config ' in unit
    assert f'--config "{tmp_path}/{escaped}/sextant-edge.toml"\n' in unit
    assert f'ReadWritePaths="{tmp_path}/{escaped}"\n' in unit
    if analyze := shutil.which("systemd-analyze"):
        (tmp_path / "sextant-edge.service").write_text(unit)
        found = subprocess.run(
            [analyze, "verify", str(tmp_path / "sextant-edge.service")], capture_output=True, check=False, timeout=60
        )
        assert (found.returncode, b"sextant-edge.service" in found.stderr) == (0, False), found.stderr


def test_the_unit_starts_this_environment_and_is_killed_when_it_falls_silent(tmp_path, capsys):
    config = write(tmp_path)
    assert command.main(["install-service", "--config", config]) == 0
    unit = capsys.readouterr().out
    assert f'ExecStart=":{sys.executable}" -m sextant.inspection.edge run --config "{config}"\n' in unit
    assert "WatchdogSec=10\n" in unit
    assert f'ReadWritePaths="{tmp_path}"\n' in unit


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
    device = tmp_path / "my device"
    install = ["sh", str(tmp_path / "package" / "install.sh"), str(device)]
    other = tmp_path / "system" / "picky-1.dist-info"  # a package of the system's that asks for another numpy
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: picky\nVersion: 1\nRequires-Dist: numpy<1\n")
    bare = environment | {"PYTHON": str(tmp_path / "bare" / "bin" / "python"), "PYTHONPATH": str(tmp_path / "system")}
    installed = subprocess.run(install, env=bare, check=True, timeout=900, capture_output=True, text=True)
    assert "ERROR" not in installed.stderr
    program, config = device / "venv" / "bin" / "sextant-edge", device / "sextant-edge.toml"
    assert shlex.split(installed.stdout.splitlines()[-1]) == [str(program), "run", "--config", str(config)]
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
    where = [str(device / "venv" / "bin" / "python"), "-c", "import sextant; print(sextant.__file__)"]
    found = subprocess.run(where, env=environment, cwd=tmp_path, capture_output=True, check=True).stdout.decode()
    assert found.startswith(str(device))
