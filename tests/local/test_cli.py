"""What the command prints where nobody looks at a wide terminal."""

import json
import subprocess
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import typer
from botocore.exceptions import ClientError
from rich.console import Console
from typer.testing import CliRunner

from localaws import cli, emulator
from samples.check import Check

RECORDS = [
    {
        "system": "inspection",
        "name": "one photograph of 2000 x 1334 px (411 kB JPEG) at 320 px, end to end, as the original post has it",
        "unit": "CPU-ms", "ours": 54.6, "peer": None, "peer_name": None, "ratio": None, "spread": 9.1,
        "floor": "≤ 60 CPU-ms", "ok": True,
    },
    {
        "system": "labeling", "name": "small files [10,000]", "unit": "CPU-s", "ours": 1.5, "peer": 12.25,
        "peer_name": "the original's approach", "ratio": 8.1666, "spread": 0.25, "floor": "≥ 9x", "ok": False,
    },
]  # fmt: skip


def test_a_benchmark_is_read_in_80_columns(monkeypatch, tmp_path):
    """A name is a sentence: in a column of a table each of its words had a line."""
    run = SimpleNamespace(run=lambda: RECORDS)
    monkeypatch.setattr(cli.importlib, "import_module", lambda _: run)
    monkeypatch.setattr(cli, "out", Console(width=80))
    told = CliRunner().invoke(cli.app, ["bench", "inspection", "--json", str(tmp_path / "out.json")])
    assert told.exit_code == 1, "a floor is not kept"
    assert told.stdout.splitlines() == [
        f"inspection: {RECORDS[0]['name']}",
        "    54.6 CPU-ms; floor ≤ 60 CPU-ms, kept",
        "labeling: small files [10,000]",
        "    1.5 CPU-s; peer 12.2 CPU-s (the original's approach); ratio 8.17 ± 0.25; floor ≥ 9x, NOT KEPT",
    ]
    assert json.loads((tmp_path / "out.json").read_text())["benchmarks"] == RECORDS


def test_progress_names_the_system_it_is_of(monkeypatch):
    """Each system puts, trains and waits: of a demo of all of them a bare "train" says little."""
    told = []

    def demo(_session, _outputs, _folder, report, **_):
        report("train", 0, 2)
        return [Check("items", 1, 1)]

    @contextmanager
    def listening():
        yield lambda *given: told.append(given)

    monkeypatch.setattr(cli, "_progress", listening)
    monkeypatch.setattr(cli, "_session", lambda _: None)
    monkeypatch.setattr(cli.importlib, "import_module", lambda _: SimpleNamespace(demo=demo))
    assert cli._demo("slides", SimpleNamespace(console="http://127.0.0.1:1/"), {}, None).ok
    assert told == [("slides: train", 0, 2)]


def test_addresses_of_the_status_can_be_copied(monkeypatch):
    """None is broken by a column, and a name of an object is not taken for markup."""
    bucket = "local-inspection-storagedata6bb23f4e-42d7ab7596cdd"
    source = f"s3://{bucket}/incoming/bracket/line-1/camera-1/[red]a photograph of the early shift.jpg"
    outputs = [{"OutputKey": "DataBucket", "OutputValue": bucket}, {"OutputKey": "ApiUrl", "OutputValue": "x"}]
    stacks = [{"StackName": "local-Inspection", "StackStatus": "UPDATE_COMPLETE", "Outputs": outputs}]
    held = [{"source": source, "reason": "truncated", "detail": "it ends in the middle"}]
    monkeypatch.setattr(cli, "out", Console(width=80))
    monkeypatch.setattr(emulator, "running", lambda state: emulator.Emulator(1, 4566, 4580, state))
    monkeypatch.setattr(cli, "_stacks", lambda _: stacks)
    monkeypatch.setattr(cli, "_quarantine", lambda *_: held)
    lines = CliRunner().invoke(cli.app, ["status"]).stdout.splitlines()
    assert "local-Inspection  UPDATE_COMPLETE" in lines
    assert f"    DataBucket s3://{bucket}" in lines
    assert lines[lines.index(f"    {source}") + 1] == "        truncated: it ends in the middle"


def test_what_env_prints_is_for_a_shell_to_evaluate(monkeypatch, tmp_path):
    """Many a home folder has a space in its name, and some an apostrophe."""
    models = tmp_path / "Ada's work" / "model"
    monkeypatch.setattr(emulator, "MODELS", models)
    monkeypatch.setattr(emulator, "running", lambda state: emulator.Emulator(1, 4566, 4580, state))
    told = CliRunner().invoke(cli.app, ["env"]).stdout
    shell = f'set -e\n{told}printf %s "$AWS_DATA_PATH"'
    assert subprocess.run(["sh", "-c", shell], check=False, capture_output=True, text=True).stdout == str(models)


@pytest.mark.parametrize(
    ("status", "told", "not_told"),
    [
        (400, "CreateModel was refused (ValidationException): 9 photographs", "sextant up"),
        (500, "did not answer as it should", "was refused"),
    ],
)
def test_a_request_that_is_refused_is_not_the_emulators_fault(status, told, not_told, monkeypatch, capsys):
    monkeypatch.setattr(cli, "err", Console(width=200))
    answer = {
        "Error": {"Code": "ValidationException", "Message": "9 photographs; a training needs 10."},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    with pytest.raises(typer.Exit), cli._failing():
        raise ClientError(answer, "CreateModel")
    printed = capsys.readouterr().out
    assert told in printed
    assert not_told not in printed
