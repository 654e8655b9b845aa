"""Rule packs over the templates: cdk-nag, cfn-lint and the CDK's own validation, with nothing let pass in silence."""

import contextlib
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

LINT_IGNORED = {
    "W3005": "the CDK repeats in DependsOn what a GetAtt already says",
}


@pytest.fixture(scope="module")
def nag_report(flags, environments, tmp_path_factory):
    """cdk-nag's report over every environment there is and the example in which all fields are set."""
    import aws_cdk as cdk
    import cdk_nag

    from stacks.config import EnvironmentConfig
    from stacks.stage import SystemsStage

    outdir = tmp_path_factory.mktemp("nag")
    app = cdk.App(context=flags, outdir=str(outdir))
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(), cdk_nag.HIPAASecurityChecks())
    example = tomllib.loads((ROOT / "environments" / "production.example.toml").read_text())
    for environment in (*environments.values(), EnvironmentConfig.model_validate(example)):
        SystemsStage(app, environment)
    with contextlib.suppress(RuntimeError):  # raised for findings, which the tests read from the report
        app.synth()
    return json.loads((outdir / "validation-report.json").read_text())["pluginReports"]


def test_both_packs_ran_and_no_finding_stands_open(nag_report):
    assert {report["pluginName"] for report in nag_report} >= {"AwsSolutions", "HIPAA.Security"}
    open_findings = {
        f"{violation['ruleName']} at {construct['constructPath']}"
        for report in nag_report
        for violation in report["violations"]
        for construct in violation["violatingConstructs"]
    }
    assert open_findings == set()


def test_every_acknowledgement_gives_a_reason(nag_report):
    acknowledged = [each for report in nag_report for each in report.get("suppressedViolations", [])]
    assert acknowledged
    for each in acknowledged:
        assert len(each["reason"].split()) >= 5, each["acknowledgedId"]


def test_acknowledgements_are_made_only_where_reasons_are_asked():
    makers = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "stacks").rglob("*.py")
        if re.search(r"cdk\.Acknowledgment\(|Validations\.of\(", path.read_text())
    ]
    assert makers == ["stacks/building_blocks/nag.py"]


def test_cfn_lint_is_silent(local, production, tmp_path):
    for name, stage in (("local", local), ("production", production)):
        for stack, template in stage.items():
            (tmp_path / f"{name}-{stack}.template.json").write_text(json.dumps(template))
    command = [
        str(Path(sys.executable).with_name("cfn-lint")),
        "--format",
        "parseable",
        "--ignore-checks",
        *LINT_IGNORED,
        "--",
        *map(str, sorted(tmp_path.glob("*.json"))),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.stdout == ""
    assert result.returncode == 0, result.stderr


BROKEN = """
import json, pathlib, aws_cdk as cdk, aws_cdk.aws_s3 as s3
app = cdk.App(context=json.loads(pathlib.Path("cdk.json").read_text())["context"])
bucket = s3.CfnBucket(cdk.Stack(app, "Stack"), "Bucket")
bucket.add_property_override("VersioningConfiguration.Status", "Sometimes")
app.synth()
"""


@pytest.mark.parametrize(("program", "findings"), [(["app.py"], set()), (["-c", BROKEN], {"W3030"})])
def test_the_cdk_validates_the_templates(tmp_path, program, findings):
    """The app as `cdk deploy` synthesizes it, with the CDK's own rules on; a broken template shows that they are on."""
    environment = {key: value for key, value in os.environ.items() if key != "CDK_VALIDATION"}
    result = subprocess.run(
        [sys.executable, *program],
        cwd=ROOT,
        env=environment | {"CDK_OUTDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "validation-report.json").read_text())
    found = {each["ruleName"] for plugin in report["pluginReports"] for each in plugin["violations"]}
    assert found == findings
