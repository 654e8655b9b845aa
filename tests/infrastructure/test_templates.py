"""What the templates promise: nothing public, all encrypted, logged and kept; least privilege; stable names."""

import base64
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FROZEN = {
    "AWS::Athena::WorkGroup": {"Inspection/CatalogWorkgroupB2972C84", "Labeling/ReportsWorkgroup3BA0049C"},
    "AWS::Cognito::UserPool": {"Console/UsersPoolBFC35D3B", "Labeling/Workforce574A26FE"},
    "AWS::DynamoDB::Table": {"Inspection/StorageTableB43FDCE7"},
    "AWS::Glue::Database": {"Inspection/CatalogDatabaseE63956BB", "Labeling/CatalogDatabaseE63956BB"},
    "AWS::KMS::Key": {
        "Console/DataKey17AFBB84",
        "Inspection/DataKey17AFBB84",
        "Labeling/DataKey17AFBB84",
        "Slides/DataKey17AFBB84",
    },
    "AWS::Logs::LogGroup": {
        "Console/ApiAccessLog713001CC",
        "Console/ConsoleApiLogB73A58EC",
        "Console/SitePublisherLogDC457C95",
        "Inspection/ApiFunctionLog3DAA8144",
        "Inspection/ApiHttpAccessLogF8B9D5EE",
        "Inspection/ApiIngestLog888EA746",
        "Inspection/ApiPackagingLogA6234A17",
        "Inspection/ApiTrainedLogF461FBC7",
        "Inspection/BeltDetectLog646A73A4",
        "Inspection/BeltLog2BC806D2",
        "Inspection/BeltRecordLogB323CE42",
        "Inspection/DoctorLog36F0B6F9",
        "Inspection/OperationLog5EB9BF36",
        "Inspection/PagesLogF8109BEE",
        "Inspection/UpkeepDriftLogF300490C",
        "Inspection/UpkeepLog9AF38601",
        "Inspection/UpkeepPromoteLogBCA31B37",
        "Inspection/UpkeepReviewLog8EF6D266",
        "Inspection/UpkeepShiftLog2335180A",
        "Inspection/UpkeepSweepLogD4168539",
        "Labeling/DashboardsLog6BD68D9A",
        "Labeling/MailingReportLogB2323C7E",
        "Labeling/OperationLog5EB9BF36",
        "Slides/OperationLog5EB9BF36",
        "Slides/PagesLogF8109BEE",
        "Slides/PipelineLog5D9785C3",
        "Slides/PipelineStartLog7F464154",
        "Slides/RegistryDeployLogFAB285C3",
        "Slides/RegistryRegisterLog0E7541D4",
    },
    "AWS::S3::Bucket": {
        "Console/SiteAccessLogs536C0B75",
        "Console/SiteFiles975A43CF",
        "Inspection/AccessLogs8B620ECA",
        "Inspection/CatalogResults4BE287F2",
        "Inspection/StorageData6BB23F4E",
        "Labeling/AccessLogs8B620ECA",
        "Labeling/Batch14E90808",
        "Labeling/Processed10BEC1CE",
        "Labeling/ReportsResults2BA6B902",
        "Slides/AccessLogs8B620ECA",
        "Slides/RunsE45A2291",
        "Slides/Slides8C3D8E79",
    },
    "AWS::SNS::Topic": {
        "Console/Alarms04B5A0BF",
        "Inspection/Alarms04B5A0BF",
        "Inspection/BeltRejectsD6BA0531",
        "Labeling/Alarms04B5A0BF",
        "Labeling/MailingSummariesFC21F449",
        "Slides/Alarms04B5A0BF",
    },
    "AWS::SageMaker::ModelPackageGroup": {"Slides/RegistryGroupF9A457C4"},
    "AWS::StepFunctions::StateMachine": {"Inspection/BeltMachine82EB159B", "Slides/PipelineMachine70FD447C"},
}
"""Logical ids of what holds state. Changing one replaces the resource: its data is lost or left behind."""

LOG_BUCKETS = {
    "Console/SiteAccessLogs536C0B75",
    "Inspection/AccessLogs8B620ECA",
    "Labeling/AccessLogs8B620ECA",
    "Slides/AccessLogs8B620ECA",
}
# EC2's Describe actions take no resource, and a network interface has no name before it exists.
# Athena lists what it has for everybody or nobody.
# A registry's token is the account's, metrics have names only, and delivery of a state machine's log is a setting.
ANY_RESOURCE_ALLOWED = {
    "ec2:",
    "athena:ListDataCatalogs",
    "athena:ListWorkGroups",
    "cloudwatch:PutMetricData",
    "ecr:GetAuthorizationToken",
    "logs:",
    "sagemaker:ListModelPackages",
}


def of_type(stage, kind):
    """(stack/logical id, resource) of one type in all stacks of a stage."""
    return {
        f"{stack}/{name}": resource
        for stack, template in stage.items()
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


def statements(stage):
    """(where, statement) of every policy of a role."""
    for name, policy in of_type(stage, "AWS::IAM::Policy").items():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            yield name, statement


def as_list(value):
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("kind", FROZEN)
def test_resources_with_state_keep_their_logical_ids(local, kind):
    assert set(of_type(local, kind)) == FROZEN[kind]


def test_buckets_are_private_and_encrypted(stage):
    buckets = of_type(stage, "AWS::S3::Bucket")
    assert buckets
    for name, bucket in buckets.items():
        properties = bucket["Properties"]
        assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}, name
        rules = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        expected = "AES256" if name in LOG_BUCKETS or name.startswith("Console/") else "aws:kms"
        assert [rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] for rule in rules] == [expected], name
        assert properties["OwnershipControls"]["Rules"], name
        assert "BucketName" not in properties, name


def test_buckets_take_tls_only(stage):
    denied = {
        f"{name.split('/')[0]}/{policy['Properties']['Bucket']['Ref']}"
        for name, policy in of_type(stage, "AWS::S3::BucketPolicy").items()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny"
        and statement["Principal"] == {"AWS": "*"}
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        and statement["Action"] == "s3:*"
    }
    assert denied == set(of_type(stage, "AWS::S3::Bucket"))


def test_buckets_log_who_reads_them(stage):
    for name, bucket in of_type(stage, "AWS::S3::Bucket").items():
        assert ("LoggingConfiguration" in bucket["Properties"]) == (name not in LOG_BUCKETS), name


def test_input_keeps_old_versions(local):
    batch = of_type(local, "AWS::S3::Bucket")["Labeling/Batch14E90808"]
    assert batch["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}


def test_keys_rotate(stage):
    keys = of_type(stage, "AWS::KMS::Key").values()
    assert keys
    assert all(key["Properties"]["EnableKeyRotation"] is True for key in keys)


@pytest.mark.parametrize(("name", "days"), [("local", 7), ("production", 365)])
def test_logs_are_kept_as_long_as_the_environment_says(request, name, days):
    groups = of_type(request.getfixturevalue(name), "AWS::Logs::LogGroup")
    assert groups
    for group in groups.values():
        assert group["Properties"]["RetentionInDays"] == days
        assert "KmsKeyId" in group["Properties"]


@pytest.mark.parametrize(("name", "policy"), [("local", "Delete"), ("production", "Retain")])
def test_state_is_kept_as_the_environment_says(request, name, policy):
    kept = ("AWS::S3::Bucket", "AWS::KMS::Key", "AWS::Cognito::UserPool", "AWS::Logs::LogGroup", "AWS::DynamoDB::Table")
    for kind in kept:
        for where, resource in of_type(request.getfixturevalue(name), kind).items():
            assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == policy, where


def test_no_statement_allows_any_action_or_resource(stage):
    checked = 0
    for where, statement in statements(stage):
        checked += 1
        for action in as_list(statement["Action"]):
            assert "*" not in action, f"{where}: {action}"
            for resource in as_list(statement["Resource"]):
                allowed = any(action.startswith(service) for service in ANY_RESOURCE_ALLOWED)
                assert resource != "*" or allowed, f"{where}: {action} on *"
    assert checked > 10


def test_roles_have_no_managed_policy(local):
    for where, role in of_type(local, "AWS::IAM::Role").items():
        assert "ManagedPolicyArns" not in role["Properties"], where


def test_dashboards_function_cannot_touch_answers_or_the_input(local):
    mine = [
        (action, json.dumps(resource))
        for where, statement in statements(local)
        if where.startswith("Labeling/Dashboards")
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    ]
    assert mine
    assert not [each for each in mine if "Batch14E90808" in each[1]]
    reads = {resource for action, resource in mine if action == "s3:GetObject" and "Processed" in resource}
    assert len(reads) == 1
    assert "/labels/*" in reads.pop()
    assert not [each for each in mine if each[0] in {"s3:PutObject", "s3:DeleteObject"} and "Processed" in each[1]]
    assert not [
        each for each in mine if each[0].startswith("glue:") and not each[0].startswith(("glue:Get", "glue:BatchGet"))
    ]


def test_only_names_that_people_type_are_fixed(local):
    named = {
        (resource["Type"], resource["Properties"][key])
        for template in local.values()
        for resource in template["Resources"].values()
        for key in ("Name", "BucketName", "FunctionName", "RoleName", "TopicName", "LogGroupName", "UserPoolName")
        if isinstance(resource.get("Properties", {}).get(key), str)
        and resource["Type"]
        not in {"AWS::Athena::NamedQuery", "AWS::ApiGatewayV2::Api", "AWS::ApiGatewayV2::Authorizer"}
    }
    assert named == {
        ("AWS::Glue::Workflow", "SMGT-Glue-Workflow"),
        ("AWS::Athena::WorkGroup", "SMGTReportsWorkGroup"),
        ("AWS::Athena::WorkGroup", "local-inspection"),
        ("AWS::Glue::SecurityConfiguration", "local-Labeling-Glue"),  # CloudFormation demands a name
    }


def test_everything_that_can_carry_tags_carries_them(production):
    for kind in ("AWS::S3::Bucket", "AWS::KMS::Key", "AWS::Lambda::Function", "AWS::IAM::Role", "AWS::SNS::Topic"):
        for where, resource in of_type(production, kind).items():
            tags = {tag["Key"]: tag["Value"] for tag in resource["Properties"]["Tags"]}
            assert tags["cost-centre"] == "1234", where
            assert tags["sextant:system"] == where.split("/")[0].lower(), where


def test_triggers_are_active_and_in_order(local):
    template = local["Labeling"]["Resources"]
    triggers = {
        name.removeprefix("Pipeline")[:-8]: resource["Properties"]
        for name, resource in template.items()
        if resource["Type"] == "AWS::Glue::Trigger"
    }
    crawler = {
        short: {
            "Ref": next(name for name in template if name.startswith(f"PipelineCrawlers{short}") and "Role" not in name)
        }
        for short in ("VideoObjects", "Audit", "WorkerMetrics", "Annotations")
    }
    job = {"Ref": next(name for name, each in template.items() if each["Type"] == "AWS::Glue::Job")}
    assert all(each["StartOnCreation"] is True for each in triggers.values())
    scheduled, audit, output = (
        triggers[name]
        for name in ("ScheduledJobTrigger", "ConditionalJobTriggerForAudit", "ConditionalJobTriggerForOutputCrawler")
    )
    assert scheduled["Type"] == "SCHEDULED"
    assert scheduled["Schedule"] == "cron(0 * * * ? *)"
    assert scheduled["Actions"] == [{"CrawlerName": crawler["VideoObjects"]}, {"JobName": job}]
    assert audit["Predicate"]["Conditions"] == [
        {"CrawlerName": crawler["VideoObjects"], "CrawlState": "SUCCEEDED", "LogicalOperator": "EQUALS"}
    ]
    assert audit["Actions"] == [{"CrawlerName": crawler["Audit"]}]
    assert output["Predicate"]["Conditions"] == [{"JobName": job, "State": "SUCCEEDED", "LogicalOperator": "EQUALS"}]
    assert output["Actions"] == [{"CrawlerName": crawler["WorkerMetrics"]}, {"CrawlerName": crawler["Annotations"]}]


def test_every_view_is_stored_as_athena_stores_it(local):
    from sextant.labeling.views import VIEWS

    tables = {
        each["Properties"]["TableInput"]["Name"]: each["Properties"]["TableInput"]
        for each in of_type(local, "AWS::Glue::Table").values()
    }
    for view in VIEWS:
        stored = tables[view.name]
        assert stored["TableType"] == "VIRTUAL_VIEW"
        assert stored["Parameters"] == {"presto_view": "true", "comment": "Presto View"}
        assert stored["PartitionKeys"] == []
        # Without the empty SerdeInfo: "HIVE_METASTORE_ERROR: Table storage descriptor is missing SerDe info".
        descriptor = {key: value for key, value in stored["StorageDescriptor"].items() if key != "Columns"}
        assert descriptor == {"Location": "", "SerdeInfo": {}}
        assert stored["ViewExpandedText"] == "/* Presto View */"
        text = stored["ViewOriginalText"]
        assert text.startswith("/* Presto View: ")
        assert text.endswith(" */")
        told = json.loads(base64.b64decode(text.removeprefix("/* Presto View: ").removesuffix(" */")))
        assert told["originalSql"] == view.sql
        assert told["schema"] == "smgt-gluedatabase"
        assert [each["name"] for each in told["columns"]] == [each.name for each in view.columns]
        assert not {"string", "int"} & {each["type"] for each in told["columns"]}  # Hive's names, unknown to Presto


def test_typed_tables_lie_where_the_job_writes(local):
    from sextant.labeling.insight.tables import INSIGHT_TABLES
    from sextant.labeling.tables import TABLES

    stored = {
        each["Properties"]["TableInput"]["Name"]: each["Properties"]["TableInput"]
        for each in of_type(local, "AWS::Glue::Table").values()
    }
    job = next(iter(of_type(local, "AWS::Glue::Job").values()))["Properties"]["DefaultArguments"]
    output = job["--OUTPUT_PATH"]["Fn::Join"][1]
    for table in (*TABLES, *INSIGHT_TABLES):
        location = stored[table.name]["StorageDescriptor"]["Location"]["Fn::Join"][1]
        assert location == [*output[:-1], f"{output[-1]}labels/{table.name}/"]
        assert [each["Name"] for each in stored[table.name]["StorageDescriptor"]["Columns"]] == [
            each.name for each in table.columns
        ]


def test_crawlers_delete_what_is_gone_but_only_of_their_own_tables(local):
    from sextant.labeling.insight.tables import INSIGHT_TABLES
    from sextant.labeling.tables import TABLES
    from sextant.labeling.views import VIEWS

    crawlers = [each["Properties"] for each in of_type(local, "AWS::Glue::Crawler").values()]
    assert {each["SchemaChangePolicy"]["DeleteBehavior"] for each in crawlers} == {"DELETE_FROM_DATABASE"}
    deleting = [
        statement
        for _, statement in statements(local)
        if any("Delete" in action and action.startswith("glue:") for action in as_list(statement["Action"]))
    ]
    patterns = {
        name.rpartition("/")[2]
        for statement in deleting
        for resource in as_list(statement["Resource"])
        if ":table/" in (name := json.dumps(resource).rstrip(']}"'))
    }
    assert patterns == {f"{each['TablePrefix']}*" for each in crawlers}
    declared = [each.name for each in (*TABLES, *INSIGHT_TABLES, *VIEWS)]
    assert not [name for name in declared for pattern in patterns if name.startswith(pattern.rstrip("*"))]


def test_the_job_is_told_what_ground_truth_output_does_not_tell(local, environments):
    given = next(iter(of_type(local, "AWS::Glue::Job").values()))["Properties"]["DefaultArguments"]
    labeling = environments["local"].labeling
    assert json.loads(given["--COST"]) == {"wage_usd_per_hour": 18.5, "budget_usd": 50}
    assert labeling.cost.wage_usd_per_hour == 18.5
    assert given["--AUDIT_ATTRIBUTE"] == labeling.audit_attribute
    assert given["--CATEGORIES_PATH"]["Fn::Join"][1][-1] == "/label_category_input/"


def test_pages_may_run_no_inline_code_and_call_only_their_origin_and_sign_in(local):
    policies = of_type(local, "AWS::CloudFront::ResponseHeadersPolicy")
    security = next(iter(policies.values()))["Properties"]["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"]
    policy = security["ContentSecurityPolicy"]["ContentSecurityPolicy"]
    csp = dict(each.split(" ", 1) for each in policy.split("; "))
    assert csp["default-src"] == "'none'"
    assert "unsafe" not in str(csp)
    assert csp["connect-src"] == "'self' https://sextant-local-000000000000.auth.us-east-1.amazoncognito.com"
    assert csp["frame-ancestors"] == "'none'"
    assert security["StrictTransportSecurity"]["AccessControlMaxAgeSec"] >= 31_536_000


def test_whatever_wakes_somebody_is_in_the_guide(production):
    told = (ROOT / "docs" / "deploy.md").read_text()
    alarms = [name.rpartition("/")[2] for name in of_type(production, "AWS::CloudWatch::Alarm")]
    topics = [
        name.rpartition("/")[2]
        for name, rule in of_type(production, "AWS::Events::Rule").items()
        if any("Alarms" in json.dumps(target["Arn"]) for target in rule["Properties"]["Targets"])
    ]
    assert len(alarms) > 8
    assert len(topics) == 2
    for name in [*alarms, *topics]:
        short = re.sub(r"^(Mailing|Site|Registry|Pipeline)(?=[A-Z])|[0-9A-F]{8}$", "", name)
        assert re.search(rf"\b{short}\b", told), short


def test_alarms_tell_a_topic_and_say_what_to_do(production):
    alarms = of_type(production, "AWS::CloudWatch::Alarm")
    assert {alarm["Properties"]["MetricName"] for alarm in alarms.values()} >= {"Errors", "Throttles", "FailedQueries"}
    (queries,) = [a["Properties"] for a in alarms.values() if a["Properties"]["MetricName"] == "FailedQueries"]
    assert queries["Namespace"] == "Sextant/production", "where sextant.labeling.dashboards.failures counts"
    assert queries["Dimensions"] == [{"Name": "service", "Value": "labeling-dashboards"}]
    for where, alarm in alarms.items():
        assert len(alarm["Properties"]["AlarmActions"]) == 1, where
        assert len(alarm["Properties"]["AlarmDescription"]) > 60, where
    mails = of_type(production, "AWS::SNS::Subscription").values()
    assert {each["Properties"]["Endpoint"] for each in mails} == {"on-call@example.com", "labeling-lead@example.com"}


def test_whoever_alarms_may_publish_to_its_topic_and_use_its_key(stage):
    """A topic policy replaces SNS's own, which had let this account's services publish."""
    published = {
        (f"{where.split('/')[0]}/{ref['Ref']}", service)
        for where, policy in of_type(stage, "AWS::SNS::TopicPolicy").items()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow" and statement["Action"] == "sns:Publish"
        for service in as_list(statement["Principal"]["Service"])
        for ref in policy["Properties"]["Topics"]
        if statement["Resource"] == ref
    }
    sent = {
        (f"{where.split('/')[0]}/{action['Ref']}", "cloudwatch.amazonaws.com")
        for where, alarm in of_type(stage, "AWS::CloudWatch::Alarm").items()
        for action in alarm["Properties"]["AlarmActions"]
    }
    sent |= {
        (f"{where.split('/')[0]}/{target['Arn']['Ref']}", "events.amazonaws.com")
        for where, rule in of_type(stage, "AWS::Events::Rule").items()
        for target in rule["Properties"]["Targets"]
        if f"{where.split('/')[0]}/{target['Arn'].get('Ref')}" in of_type(stage, "AWS::SNS::Topic")
    }
    assert len(sent) == 5
    assert published == sent

    topics = of_type(stage, "AWS::SNS::Topic")
    for where, service in sent:
        key = f"{where.split('/')[0]}/{topics[where]['Properties']['KmsMasterKeyId']['Fn::GetAtt'][0]}"
        policy = of_type(stage, "AWS::KMS::Key")[key]["Properties"]["KeyPolicy"]
        [usage] = [each for each in policy["Statement"] if each["Principal"].get("Service") == service]
        assert usage["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]
        # SNS: a key policy with aws:SourceAccount stops what EventBridge sends to an encrypted topic.
        assert ("Condition" in usage) == (service == "cloudwatch.amazonaws.com")


def test_a_failed_attempt_of_the_job_promises_nothing_about_the_tables(local):
    """It may have failed while publishing, and Glue may still try again."""
    [job] = of_type(local, "AWS::Glue::Job").values()
    [rule] = [each["Properties"] for where, each in of_type(local, "AWS::Events::Rule").items() if "JobFailed" in where]
    # Glue documents these, and SUCCEEDED, for "Glue Job State Change".
    assert set(rule["EventPattern"]["detail"]["state"]) == {"FAILED", "TIMEOUT", "STOPPED"}
    told = rule["Targets"][0]["InputTransformer"]["InputTemplate"]
    assert "Tables may be of two runs" in told
    assert ("tries once more" in told) == (job["Properties"]["MaxRetries"] == 1)
    assert "SMGT-Glue-Workflow again" in told


def test_only_alarms_of_this_account_may_publish(production):
    policies = [each for where, each in of_type(production, "AWS::SNS::TopicPolicy").items() if "Alarms" in where]
    assert len(policies) == 4
    for policy in policies:
        [condition] = [
            each["Condition"]
            for each in policy["Properties"]["PolicyDocument"]["Statement"]
            if each["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
        ]
        assert condition == {"StringEquals": {"aws:SourceAccount": "222222222222"}}
