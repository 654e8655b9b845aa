"""Environment files: what they may say, what happens when they say something else, and that it is honoured."""

import json
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from stacks.config import EnvironmentConfig
from stacks.environments import EnvironmentFileError, load_environment, load_environments, new_environment

ROOT = Path(__file__).resolve().parents[2]
GOOD = """\
name = "team"
account = "123456789012"
region = "eu-central-1"
systems = ["labeling"]
"""


def load(tmp_path, text, name="team"):
    folder = tmp_path / "environments"
    folder.mkdir()
    path = folder / f"{name}.toml"
    path.write_text(text)
    return load_environment(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GOOD.replace('"123456789012"', '"12"'), "account: String should match pattern '^\\d{12}$' (is '12')"),
        (GOOD.replace('account = "123456789012"\n', ""), "account: Field required"),
        (GOOD.replace('"123456789012"', "123456789012"), "account: Input should be a valid string (is 123456789012)"),
        (
            GOOD.replace('["labeling"]', '["labelling"]'),
            "systems.0: Input should be 'labeling', 'slides' or 'inspection'",
        ),
        (GOOD.replace('["labeling"]', "[]"), "systems: Tuple should have at least 1 item"),
        (GOOD.replace('["labeling"]', '["labeling", "labeling"]'), "systems: names a system twice"),
        (GOOD + 'removals = "retain"\n', "removals: Extra inputs are not permitted"),
        (GOOD + 'removal = "snapshot"\n', "removal: Input should be 'retain' or 'destroy'"),
        (GOOD + "log_retention_days = 8\n", "log_retention_days: Input should be 1, 3, 5"),
        (GOOD + 'alarm_email = "nobody"\n', "alarm_email: String should match pattern"),
        (GOOD + 'vpc_id = "vpc-12345678"\n', "vpc_id and subnet_ids belong together"),
        (GOOD + '[labeling]\nglue_cron = "hourly"\n', "labeling.glue_cron: String should match pattern"),
        (GOOD + '[labeling]\ninput_prefix = "batches"\n', "labeling.input_prefix: String should match pattern"),
        (GOOD + '[labeling]\nlabel_attributes = ["a; DROP"]\n', "labeling.label_attributes.0: String should match"),
        (GOOD + '[labeling]\nlabel_attributes = ["a", "a"]\n', "labeling: attribute 'a' is named twice"),
        (GOOD + "[labeling.cost]\nwage_usd_per_hour = 0\n", "labeling.cost.wage_usd_per_hour: Input should be greater"),
        (GOOD + "[labeling.cost]\nbudget_usd = inf\n", "labeling.cost.budget_usd: Input should be a finite number"),
        (GOOD + "[labeling.cost]\nwage = 20\n", "labeling.cost.wage: Extra inputs are not permitted"),
        (GOOD + "[labeling]\nbytes_scanned_cutoff = 1\n", "labeling.bytes_scanned_cutoff: Input should be greater"),
        (GOOD + '[labeling]\ninput_key_arn = "arn:aws:kms:x:1:key/2"\n', "labeling: input_key_arn is the key of"),
        (GOOD + '[slides]\nslides_key_arn = "arn:aws:kms:x:1:key/2"\n', "slides: slides_key_arn is the key of"),
        (
            GOOD + '[slides]\ntraining_instance_type = "m5.large"\n',
            "slides.training_instance_type: String should match",
        ),
        (GOOD + '[inspection]\nbackend = "marketplace"\n', "inspection.backend: String should match pattern"),
        (
            GOOD + '[inspection]\nsource_key_arns = ["arn:aws:kms:eu-west-1:123456789012:key/2"]\n',
            "inspection: source_key_arns are the keys of existing buckets",
        ),
        (
            GOOD + '[[inspection.shifts]]\nproject = "bracket"\nstart = "06:00"\nstop = "cron(0 22 * * ? *)"\n',
            "inspection.shifts.0.start: String should match pattern",
        ),
        (GOOD + '[console]\nmfa = "off"\n', "console.mfa: Input should be 'required' or 'optional'"),
        (GOOD + "name = ", "is not TOML"),
    ],
)
def test_a_bad_file_is_told_by_file_field_and_reason(tmp_path, text, told):
    with pytest.raises(EnvironmentFileError) as error:
        load(tmp_path, text)
    assert str(error.value).startswith("environments/team.toml: ")
    assert told in str(error.value)


def test_every_fault_of_a_file_is_told_at_once(tmp_path):
    with pytest.raises(EnvironmentFileError) as error:
        load(tmp_path, GOOD.replace('"123456789012"', '"12"') + "log_retention_days = 8\n")
    assert len(str(error.value).splitlines()) == 2


def test_name_and_file_agree(tmp_path):
    with pytest.raises(EnvironmentFileError, match="name: is 'team', but the file is called 'other'"):
        load(tmp_path, GOOD, name="other")


def test_defaults_are_the_safe_ones(tmp_path):
    environment = load(tmp_path, GOOD)
    assert environment.removal == "retain"
    assert environment.termination_protection is True
    assert environment.console is None
    assert environment.labeling.workgroup_name == "SMGTReportsWorkGroup"


def test_a_loaded_environment_cannot_be_changed(tmp_path):
    with pytest.raises(ValueError, match="frozen"):
        load(tmp_path, GOOD).account = "999999999999"


def test_the_repository_has_local_and_dev_and_examples_are_not_loaded():
    assert {environment.name for environment in load_environments()} == {"dev", "local"}
    assert [environment.name for environment in load_environments(only="local")] == ["local"]
    with pytest.raises(EnvironmentFileError, match="There is no environment 'production'"):
        load_environments(only="dev,production")


def test_the_example_names_every_field():
    example = tomllib.loads((ROOT / "environments" / "production.example.toml").read_text())
    environment = EnvironmentConfig.model_validate(example)
    assert set(example) == set(EnvironmentConfig.model_fields)
    assert set(example["labeling"]) == set(type(environment.labeling).model_fields)
    assert set(example["slides"]) == set(type(environment.slides).model_fields)
    assert set(example["inspection"]) == set(type(environment.inspection).model_fields)
    assert set(example["console"]) == set(type(environment.console).model_fields)


def test_a_new_environment_loads_again(tmp_path):
    environment = load(tmp_path, new_environment("team", "123456789012", "eu-central-1"))
    assert (environment.name, environment.account, environment.region) == ("team", "123456789012", "eu-central-1")
    assert environment.systems == ("labeling", "slides", "inspection")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("Team", "123456789012", "eu-central-1"), "name: String should match"),
        (("team", "1", "eu-central-1"), "account: String should match"),
        (("team", "123456789012", 'eu"'), "a value holds a quote or a line break"),
    ],
)
def test_a_new_environment_is_checked(arguments, told):
    with pytest.raises(EnvironmentFileError, match=told):
        new_environment(*arguments)


def environment_of(text):
    return EnvironmentConfig.model_validate(tomllib.loads(text))


def test_without_a_console_section_only_the_system_is_deployed(synthesize):
    assert set(synthesize(environment_of(GOOD))) == {"Labeling"}


def test_boundary_bounds_every_role(production):
    roles = [
        resource["Properties"]
        for template in production.values()
        for resource in template["Resources"].values()
        if resource["Type"] == "AWS::IAM::Role"
    ]
    # Publisher and console; dashboards, operation, report, job, crawlers, QuickSight's reader; of the slides jobs,
    # machine, start, register, deploy, operation, pages; of inspection SageMaker, api, ingest, packaging, trained,
    # machine, its rule, detect, record, upkeep, sweep, drift, promote, shift, the shifts' schedules, review, pages,
    # data doctor, operation.
    assert len(roles) == 2 + 6 + 7 + 19
    for role in roles:
        assert "policy/WorkloadBoundary" in json.dumps(role["PermissionsBoundary"])


def test_boundary_may_be_an_arn(synthesize):
    arn = "arn:aws:iam::123456789012:policy/Bound"
    template = synthesize(environment_of(GOOD + f'permissions_boundary = "{arn}"\n'))["Labeling"]
    boundaries = [
        each["Properties"]["PermissionsBoundary"]
        for each in template["Resources"].values()
        if each["Type"] == "AWS::IAM::Role"
    ]
    assert set(boundaries) == {arn}


def test_functions_and_the_job_run_in_the_network_that_is_named(production):
    subnets = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"]
    for template in production.values():
        for resource in template["Resources"].values():
            if resource["Type"] == "AWS::Lambda::Function":
                assert resource["Properties"]["VpcConfig"]["SubnetIds"] == subnets
            if resource["Type"] == "AWS::Glue::Connection":
                place = resource["Properties"]["ConnectionInput"]["PhysicalConnectionRequirements"]
                assert place["SubnetId"] == subnets[0]
            if resource["Type"] == "AWS::EC2::SecurityGroup":
                assert resource["Properties"]["VpcId"] == "vpc-0123456789abcdef0"
                assert "SecurityGroupIngress" not in resource["Properties"]
    job = next(e for e in production["Labeling"]["Resources"].values() if e["Type"] == "AWS::Glue::Job")
    assert len(job["Properties"]["Connections"]["Connections"]) == 1


def test_qualifier_names_the_bootstrap_resources(synthesize):
    text = json.dumps(synthesize(environment_of(GOOD + 'bootstrap_qualifier = "team1"\n'))["Labeling"])
    assert "/cdk-bootstrap/team1/version" in text
    assert "cdk-team1-assets-123456789012-eu-central-1" in text
    assert "hnb659fds" not in text


def test_an_existing_bucket_and_user_pool_are_used_and_not_made(production):
    template = production["Labeling"]["Resources"]
    assert len([1 for each in template.values() if each["Type"] == "AWS::S3::Bucket"]) == 3
    job = next(each for each in template.values() if each["Type"] == "AWS::Glue::Job")["Properties"]
    assert job["DefaultArguments"]["--INPUT_PATH"] == "s3://my-ground-truth-output/batch_manifests/"
    assert job["DefaultArguments"]["--USER_POOL_ID"] == "eu-west-1_Example01"
    role = json.dumps(
        [each for name, each in template.items() if name.startswith("PipelineJobRole") and "Policy" in name]
    )
    assert "arn:aws:cognito-idp:eu-west-1:222222222222:userpool/eu-west-1_Example01" in role
    assert "arn:aws:kms:eu-west-1:222222222222:key/11111111-2222-3333-4444-555555555555" in role
    assert not [each for each in template.values() if each["Type"] == "AWS::Cognito::UserPool"]


def test_a_workforce_pool_is_made_where_there_is_none_and_the_job_may_list_its_users_only(local, synthesize):
    resources = local["Labeling"]["Resources"]
    (pool,) = [name for name, each in resources.items() if each["Type"] == "AWS::Cognito::UserPool"]
    job = next(each for each in resources.values() if each["Type"] == "AWS::Glue::Job")["Properties"]
    assert job["DefaultArguments"]["--USER_POOL_ID"] == {"Ref": pool}
    without = synthesize(environment_of(GOOD))["Labeling"]
    assert "cognito-idp" not in json.dumps(without)


def test_a_workforce_is_named_or_made_but_not_both():
    text = GOOD + '[labeling]\ncreate_workforce = "mfa-required"\ncognito_user_pool_id = "eu-west-1_Example01"\n'
    with pytest.raises(ValidationError, match="leave create_workforce at none"):
        environment_of(text)


def test_label_categories_of_ones_own_become_columns(synthesize):
    text = GOOD + '[labeling]\nlabel_attributes = ["colour"]\nframe_attributes = ["weather"]\n'
    template = synthesize(environment_of(text))["Labeling"]["Resources"].values()
    queries = {e["Properties"]["Name"]: e["Properties"]["QueryString"] for e in template if "NamedQuery" in e["Type"]}
    assert 'each_ann."label-category-attributes".colour,' in queries["Label annotations"]
    assert "vehicle_type" not in queries["Label annotations"]
    assert 'ann."frame-attributes"."weather",' in queries["Frame annotations"]
    assert "report_colour" in queries
    assert "report_weather" in queries
