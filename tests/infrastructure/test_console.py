"""The console's stack: its API has every route of the document and no other, and its functions may do little."""

import json
import re
from pathlib import Path

import pytest

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "sextant.openapi.json"


def of_type(template, kind):
    return {name: each for name, each in template["Resources"].items() if each["Type"] == kind}


def routes(stage):
    """(method, path) → the function's construct, for every route."""
    resources = stage["Console"]["Resources"]
    found = {}
    for route in of_type(stage["Console"], "AWS::ApiGatewayV2::Route").values():
        integration = route["Properties"]["Target"]["Fn::Join"][1][1]["Ref"]
        uri = json.dumps(resources[integration]["Properties"]["IntegrationUri"])
        method, path = route["Properties"]["RouteKey"].split(" ")
        found[method, path] = next(name for name in ("ConsoleApi", "Operation", "Dashboards", "Pages") if name in uri)
    return found


def answering(table, method, path):
    """The function that API Gateway chooses: the route without a variable wins, then the longest prefix."""
    matching = {}
    for (verb, route), function in table.items():
        pattern = re.escape(route).replace(r"\{proxy\+\}", ".+")
        if verb == method and re.fullmatch(pattern, path):
            matching["{" not in route, len(route)] = function
    return matching[max(matching)] if matching else None


def test_every_route_needs_a_token(stage):
    found = of_type(stage["Console"], "AWS::ApiGatewayV2::Route")
    assert found
    for where, route in found.items():
        assert route["Properties"]["AuthorizationType"] == "JWT", where
        assert route["Properties"]["AuthorizerId"], where


def test_every_operation_of_the_document_reaches_the_function_that_has_it(production):
    table = routes(production)
    functions = {"Console": "ConsoleApi", "Operation": "Operation", "Dashboards": "Dashboards"}
    functions |= dict.fromkeys(("Slides", "Inspection"), "Pages")
    used = set()
    for path, methods in json.loads(DOCUMENT.read_text())["paths"].items():
        for system in ("labeling", "slides", "inspection") if "{system}" in path else ("",):
            concrete = re.sub(r"\{\w+\}", "any", path.replace("{system}", system))
            for method, told in methods.items():
                chosen = answering(table, method.upper(), concrete)
                assert chosen == functions[told["tags"][0]], f"{method} {path}"
                used.add((method.upper(), concrete))
    for method, route in table:
        pattern = re.escape(route).replace(r"\{proxy\+\}", ".+")
        assert any(verb == method and re.fullmatch(pattern, path) for verb, path in used), f"{method} {route}"


def test_without_a_system_only_the_consoles_own_routes_are_there(flags, environments, tmp_path):
    import aws_cdk as cdk

    from stacks.console.stack import ConsoleStack

    local = environments["local"]
    app = cdk.App(context=flags, outdir=str(tmp_path))
    without = dict.fromkeys(("dashboards", "slides", "inspection"))
    stack = ConsoleStack(app, "Console", local, console=local.console, **without, operations={})
    template = json.loads((Path(app.synth().directory) / stack.template_file).read_text())
    assert set(routes({"Console": template})) == {("GET", "/api/systems"), ("GET", "/api/settings")}


def statements(template, construct):
    for name, policy in of_type(template, "AWS::IAM::Policy").items():
        if name.startswith(construct):
            for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
                actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
                resources = (
                    statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
                )
                yield from ((action, json.dumps(each)) for action in actions for each in resources)


def test_the_consoles_function_may_write_its_log_and_nothing_else(stage):
    assert {action for action, _ in statements(stage["Console"], "ConsoleApi") if not action.startswith("ec2:")} == {
        "kms:Decrypt", "logs:CreateLogStream", "logs:PutLogEvents",
    }  # fmt: skip


def test_the_operation_may_run_one_workflow_and_change_no_input(local):
    mine = list(statements(local["Labeling"], "Operation"))
    glue = {action: resource for action, resource in mine if action.startswith("glue:") and "Workflow" in action}
    assert set(glue) == {"glue:GetWorkflowRun", "glue:GetWorkflowRuns", "glue:StartWorkflowRun", "glue:StopWorkflowRun"}
    assert all("workflow/SMGT-Glue-Workflow" in resource for resource in glue.values())
    others = {action for action, _ in mine if action.startswith("glue:")} - set(glue)
    assert all(action.startswith(("glue:Get", "glue:BatchGet")) for action in others)
    reads = {resource for action, resource in mine if action == "s3:GetObject"}
    assert len(reads) == 3
    assert any("Batch14E90808" in resource and "/batch_manifests/*" in resource for resource in reads)
    assert any("Processed10BEC1CE" in resource and "/labels/*" in resource for resource in reads)
    written = {resource for action, resource in mine if action in {"s3:PutObject", "s3:DeleteObject"}}
    assert all("ReportsResults" in resource for resource in written)


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("ApiErrors", "5xx"),
        ("ApiRefusals", "4xx"),
        ("FunctionErrors", "Errors"),
        ("FunctionThrottles", "Throttles"),
        ("SiteErrors", "5xxErrorRate"),
    ],
)
def test_what_may_go_wrong_has_an_alarm(local, name, metric):
    (found,) = (
        each["Properties"]
        for key, each in of_type(local["Console"], "AWS::CloudWatch::Alarm").items()
        if key.startswith(name)
    )
    assert found["MetricName"] == metric
    assert len(found["AlarmDescription"]) > 60


def test_the_distributions_alarm_is_only_where_its_metric_is(local, production):
    """CloudFront's metrics exist in us-east-1 only; elsewhere the alarm would never have data."""

    def names(stage):
        return [key for key in of_type(stage["Console"], "AWS::CloudWatch::Alarm") if key.startswith("SiteErrors")]

    assert len(names(local)) == 1
    assert names(production) == []


def test_the_function_gets_the_environment_as_the_console_reads_it(stage):
    from sextant.console.routes import Variables

    (function,) = (
        each["Properties"]
        for name, each in of_type(stage["Console"], "AWS::Lambda::Function").items()
        if name.startswith("ConsoleApi")
    )
    told = function["Environment"]["Variables"]["ENVIRONMENT"]
    read = Variables.model_validate({"ENVIRONMENT": told}).ENVIRONMENT
    assert read.systems == ("labeling", "slides", "inspection")
    assert read.sections["labeling"]["workflow_name"] == "SMGT-Glue-Workflow"
    assert set(read.sections) >= {"environment", "labeling", "labeling.cost", "console"}
    assert read.version != "0"


def test_settings_that_do_not_fit_are_refused_with_the_remedy(environments, synthesize):
    local = environments["local"]
    names = tuple(f"attribute_with_a_long_name_{number}" for number in range(150))
    labeling = local.labeling.model_copy(update={"label_attributes": names})
    with pytest.raises(ValueError, match=r"environments/local\.toml: its settings take \d+ bytes.*label_attributes"):
        synthesize(local.model_copy(update={"labeling": labeling}))
