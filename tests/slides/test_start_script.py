"""training/slides/start.sh, with a python3 of the test's own in the place of the container's."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "training" / "slides" / "start.sh"


@pytest.fixture
def container(tmp_path):
    """Runs the script; what python3 was called with, its folder at the time, and what the job tells as its failure."""

    def run(pip_status):
        (tmp_path / "bin").mkdir()
        (tmp_path / "output").mkdir()
        python = tmp_path / "bin" / "python3"
        python.write_text(f'#!/bin/sh\necho "$PWD $*" >> {tmp_path}/calls\n[ "$2" != pip ] || exit {pip_status}\n')
        python.chmod(0o755)
        own = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "OPT_ML": str(tmp_path)}
        ended = subprocess.run(["sh", str(SCRIPT)], env=os.environ | own, cwd=tmp_path, check=False)
        failure = tmp_path / "output" / "failure"
        return ended.returncode, (tmp_path / "calls").read_text().splitlines(), failure

    return run


def test_packages_are_installed_and_the_launcher_takes_over(container):
    status, (pip, launch), failure = container(0)
    root = SCRIPT.parents[2]
    assert status == 0
    assert pip == f"{root} -m pip install --disable-pip-version-check -r training/slides/requirements.txt"
    assert launch == f"{root} -m training.slides.launch"
    assert not failure.exists()


def test_without_a_registry_of_packages_the_job_says_so(container):
    status, calls, failure = container(1)
    assert status == 1
    assert len(calls) == 1, "nothing is trained"
    assert "cannot be installed" in failure.read_text()
    assert "in a VPC the job needs a way to a registry" in failure.read_text()
