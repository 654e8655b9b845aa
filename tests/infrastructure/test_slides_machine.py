"""The slides' state machine as synthesized: its expressions are evaluated, and what comes out is held to the service
models of SageMaker and to the programs that the jobs start.
"""

import json
import re
import tomllib
import typing

import botocore.session
import jsonata
import pytest
from botocore.validate import ParamValidator

from sextant.slides.aggregate import Aggregation
from sextant.slides.settings import TileSettings
from sextant.slides.training import HeadSettings
from sextant.slides.training_plan import FinetuneSettings
from stacks.config import EnvironmentConfig
from stacks.slides.config import SlidesConfig

RUN = "20261121T173000-0123abcd"
INPUT = {
    "run": RUN,
    "root": f"s3://runs/runs/{RUN}",
    "table": "s3://slides/cohort/slides.csv",
    "slides": "s3://slides/cohort",
}
TRAINED = f"s3://runs/runs/{RUN}/model/{RUN}-train-0-0/output/model.tar.gz"
OWN = """
name = "own"
account = "123456789012"
region = "eu-central-1"
systems = ["slides"]
removal = "destroy"
termination_protection = false
log_retention_days = 30
[slides]
"""


def rendered(value):
    """A template's text with something in the place of its references."""
    match value:
        case {"Fn::Join": [separator, parts]}:
            return separator.join(map(rendered, parts))
        case {"Ref": "AWS::Partition"}:
            return "aws"
        case {"Ref": "AWS::URLSuffix"}:
            return "amazonaws.com"
        case {"Fn::Sub": text}:
            return text.replace("${AWS::URLSuffix}", "amazonaws.com")
        case {"Fn::GetAtt": [name, "Arn"]}:
            return f"arn:aws:iam::123456789012:role/{name}"
        case {"Fn::GetAtt": [name, _]} | {"Ref": name}:
            return name
        case text:
            return text


def machine(template):
    kind = "AWS::StepFunctions::StateMachine"
    (found,) = [each["Properties"] for each in template["Resources"].values() if each["Type"] == kind]
    return json.loads(rendered(found["DefinitionString"]))


def evaluated(value, states):
    """A field of a state as Step Functions evaluates it."""
    match value:
        case dict():
            return {name: evaluated(each, states) for name, each in value.items()}
        case list():
            return [evaluated(each, states) for each in value]
        case str() if value.startswith("{%"):
            return jsonata.Jsonata.jsonata(value[2:-2].strip()).evaluate(None, {"states": states})
    return value


def walked(definition):
    """The states in their order, each with its evaluated arguments, and the machine's output."""
    found, name, given = {}, definition["StartAt"], dict(INPUT)
    while name:
        state = definition["States"][name]
        states = {"input": given, "context": {"Execution": {}, "State": {"RetryCount": 0}}}
        found[name] = evaluated(state["Arguments"], states)
        result = {"ModelArtifacts": {"S3ModelArtifacts": TRAINED}, "Payload": {"package": "arn"}}
        given = evaluated(state["Output"], {**states, "result": result})
        name = state.get("Next")
    return found, given


def environment_of(choices):
    return EnvironmentConfig.model_validate(tomllib.loads(OWN + choices))


HEAD = ["Plan", "Tile", "Pack", "Features", "Train", "Model", "Score", "Evaluate", "Register"]


def test_states_are_those_of_the_way_of_training(local, production):
    head, output = walked(machine(local["Slides"]))
    assert list(head) == HEAD
    assert output == {"package": "arn"}
    assert head["Register"]["Payload"] == {**INPUT, "model": {"data": TRAINED}}
    tuned, output = walked(machine(production["Slides"]))
    assert list(tuned) == [each for each in HEAD if each != "Features"]
    assert output == {"package": "arn"}


def faults(value, shape):
    """Texts that are too long, or of another pattern than the service model says: botocore does not look."""
    match shape.type_name:
        case "structure":
            for name, each in value.items():
                yield from faults(each, shape.members[name])
        case "list":
            for each in value:
                yield from faults(each, shape.member)
        case "map":
            for each in value.values():
                yield from faults(each, shape.value)
        case "string":
            if len(value) > shape.metadata.get("max", len(value)):
                yield f"{shape.name} has {len(value)} characters: {value}"
            if not re.fullmatch(shape.metadata.get("pattern", ".*"), value):
                yield f"{shape.name}: {value}"


def test_requests_are_such_as_sagemaker_takes(stage):
    definition = machine(stage["Slides"])
    service = botocore.session.get_session().get_service_model("sagemaker")
    arguments, _ = walked(definition)
    checked = set()
    for name, state in definition["States"].items():
        operation = state["Resource"].rpartition(":")[2].removesuffix(".sync")
        if operation == "invoke":
            continue
        shape = service.operation_model(operation[0].upper() + operation[1:]).input_shape
        report = ParamValidator().validate(arguments[name], shape)
        assert not report.has_errors(), f"{name}: {report.generate_report()}"
        assert list(faults(arguments[name], shape)) == []
        checked.add(operation)
    assert checked == {"createProcessingJob", "createTrainingJob", "createModel", "createTransformJob"}


def arguments_of(requests, step):
    """The arguments of a processing step by their names."""
    given = requests[step]["AppSpecification"]["ContainerArguments"]
    return dict(zip(given[::2], given[1::2], strict=True))


CHOSEN = """
encoding = "jpeg"
background = 0.25
encoder = "onnx:s3://encoders/uni/model.onnx"
aggregation = "attention"
salt = "it's {another}"
"""


def test_choices_reach_the_jobs(synthesize):
    template = synthesize(environment_of(CHOSEN))["Slides"]
    requests, _ = walked(machine(template))
    plan = arguments_of(requests, "Plan")
    assert (plan["--encoding"], plan["--background"], plan["--salt"]) == ("jpeg", "0.25", "it's {another}")
    assert TileSettings(encoding=plan["--encoding"], background=float(plan["--background"])).background == 0.25
    assert arguments_of(requests, "Features")["--encoder"] == "onnx:s3://encoders/uni/model.onnx"
    settings = HeadSettings.model_validate(requests["Train"]["HyperParameters"])
    assert (settings.encoder, settings.head) == ("onnx:s3://encoders/uni/model.onnx", "attention")
    assert settings.aggregated_by() == "attention"
    (policy,) = [
        each["Properties"]["PolicyDocument"]["Statement"]
        for name, each in template["Resources"].items()
        if name.startswith("ExecutionRoleDefaultPolicy")
    ]
    readable = json.dumps([each for each in policy if "s3:GetObject" in each["Action"]])
    assert ":s3:::encoders/uni/model.onnx" in readable


def test_fine_tuning_has_the_container_of_its_region_and_instances(production, synthesize):
    requests, _ = walked(machine(production["Slides"]))
    settings = FinetuneSettings.model_validate(requests["Train"]["HyperParameters"])
    assert (settings.epochs, settings.aggregation) == (5, "mean")
    image = requests["Train"]["AlgorithmSpecification"]["TrainingImage"]
    assert image == "763104351884.dkr.ecr.eu-west-1.amazonaws.com/pytorch:2.13-cu133-amzn2023-sagemaker"
    assert requests["Train"]["ResourceConfig"]["InstanceCount"] == 2
    assert arguments_of(requests, "Pack")["--world-size"] == "16"
    (code,) = [each for each in requests["Train"]["InputDataConfig"] if each["ChannelName"] == "code"]
    assert code["DataSource"]["S3DataSource"]["S3Uri"].endswith(".zip")
    # Milan has an account of its own for these images; an instance without GPUs has another image.
    milan = OWN.replace("eu-central-1", "eu-south-1") + 'training = "finetune"'
    template = synthesize(EnvironmentConfig.model_validate(tomllib.loads(milan)))["Slides"]
    image = walked(machine(template))[0]["Train"]["AlgorithmSpecification"]["TrainingImage"]
    assert image == "692866216735.dkr.ecr.eu-south-1.amazonaws.com/pytorch:2.13-cpu-amzn2023-sagemaker"


def test_a_head_needs_no_container_of_pytorch(local):
    assert "/pytorch" not in json.dumps(local["Slides"])


def test_the_endpoint_hears_of_decisions_and_of_the_end_of_its_changes(local):
    rules = [
        each["Properties"] for each in local["Slides"]["Resources"].values() if each["Type"] == "AWS::Events::Rule"
    ]
    heard = {rule["EventPattern"]["detail-type"][0]: rule["EventPattern"]["detail"] for rule in rules}
    decisions, changes = (heard[f"SageMaker {kind} State Change"] for kind in ("Model Package", "Endpoint"))
    assert decisions == {"ModelPackageGroupName": ["local-slides"], "ModelApprovalStatus": ["Approved", "Rejected"]}
    assert changes == {"EndpointName": ["local-slides"], "EndpointStatus": ["IN_SERVICE", "FAILED"]}


def test_aggregations_are_those_that_there_are():
    field = SlidesConfig.model_fields["aggregation"]
    assert typing.get_args(field.annotation) == typing.get_args(Aggregation)


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ('encoder = "resnet50"', "encoder"),
        ('encoder = "onnx:/home/me/model.onnx"', "encoder"),
        ('encoder = "onnx:s3://bucket"', "encoder"),
        ('encoder = "python:package.module"', "encoder"),
        ('encoding = "png"', "encoding"),
        ("background = 1.5", "background"),
        ('salt = "-2"', "salt"),
        ('salt = "{% $states.input.run %}"', "salt"),
        ("training_instances = 2", "a head is trained on one instance"),
        ('training = "finetune"\nencoder = "timm:vit_small"', "fine-tuning trains lite0"),
        ('training = "finetune"\naggregation = "attention"', "attention is learnt with a head"),
    ],
)
def test_choices_that_do_not_fit_are_refused_at_synthesis(choices, told):
    with pytest.raises(ValueError, match=told):
        environment_of(choices)
