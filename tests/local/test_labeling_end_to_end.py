"""The labeling reports on the whole embedded AWS: real stacks, IAM enforced, Glue, Athena, API, console."""

import base64
import hashlib
import json
import time
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from samples import console
from sextant.labeling import client


def test_every_report_equals_the_truth(labeled):
    wrong = {check.name: (check.measured, check.expected) for check in labeled.checks if not check.ok}

    assert wrong == {}
    assert len(labeled.checks) >= 20


def test_every_table_has_as_many_rows_as_the_truth_says(labeled):
    measured = {
        table: int(labeled.rows(f'SELECT count(*) AS n FROM "{table}"')[0]["n"]) for table in labeled.truth["tables"]
    }

    assert measured == labeled.truth["tables"]


def content(labeled):
    """Every object of the lake by key, as its hash; the mailed report comes after it in its own time."""
    bucket = labeled.embedded.outputs["local-Labeling"]["ProcessedBucket"]
    s3 = labeled.embedded.client("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
    keys = [key for key in keys if not key.startswith("reports/")]
    return {key: hashlib.sha256(s3.get_object(Bucket=bucket, Key=key)["Body"].read()).hexdigest() for key in keys}


def rows(labeled):
    """Every row of every table, as Athena shows them."""
    return {
        table: sorted(json.dumps(row) for row in labeled.rows(f'SELECT * FROM "{table}"'))
        for table in labeled.truth["tables"]
    }


def test_the_workflow_run_again_changes_no_row_and_no_file_name(labeled):
    keys, before = set(content(labeled)), rows(labeled)

    client.run_workflow(labeled.embedded.client("glue"), labeled.deployed.workflow)

    assert set(content(labeled)) == keys
    assert rows(labeled) == before


def test_the_workflow_has_the_posts_shape_and_is_active(labeled):
    glue = labeled.embedded.client("glue")
    workflow = glue.get_workflow(Name="SMGT-Glue-Workflow", IncludeGraph=True)["Workflow"]
    triggers = [node["TriggerDetails"]["Trigger"] for node in workflow["Graph"]["Nodes"] if node["Type"] == "TRIGGER"]

    kinds = sorted(trigger["Type"] for trigger in triggers)
    assert kinds == ["CONDITIONAL", "CONDITIONAL", "SCHEDULED"]
    scheduled = next(trigger for trigger in triggers if trigger["Type"] == "SCHEDULED")
    assert scheduled["State"] == "ACTIVATED"
    assert scheduled["Schedule"] == "cron(0 * * * ? *)"


def test_the_report_is_mailed_after_the_job(labeled):
    """Glue's event → rule → function with the role it has: the page is there, and each batch was told of."""
    bucket = labeled.embedded.outputs["local-Labeling"]["ProcessedBucket"]
    s3 = labeled.embedded.client("s3")

    def written():
        return {found["Key"] for found in s3.list_objects_v2(Bucket=bucket, Prefix="reports/").get("Contents", [])}

    batches = int(labeled.rows("SELECT count(DISTINCT batch) AS n FROM job")[0]["n"])
    until = time.monotonic() + 120
    while len(written()) < batches + 1 and time.monotonic() < until:
        time.sleep(1)

    assert sum(key.startswith("reports/told/") for key in written()) == batches
    page = s3.get_object(Bucket=bucket, Key="reports/labeling.html")["Body"].read().decode()
    assert f"{labeled.truth['tables']['annotation']:,}" in page
    assert "This report failed" not in page


def test_quarantined_input_is_listed_with_its_reason(labeled):
    rows = labeled.rows("SELECT source, reason FROM rejected")

    assert len(rows) == labeled.truth["tables"]["rejected"]
    assert {row["reason"] for row in rows} == {row[0] for row in labeled.truth["reports"]["report_rejected"]}


def test_the_dashboards_function_answers_through_the_api_with_the_grants_it_has(labeled):
    """Through API Gateway's event to the real function under its real role: no grant is missing."""
    functions = labeled.embedded.client("lambda")
    name = labeled.embedded.outputs["local-Labeling"]["DashboardsFunction"]

    answer = functions.invoke(FunctionName=name, Payload=json.dumps(event("GET", "/api/dashboards")))
    body = json.loads(answer["Payload"].read())

    assert body["statusCode"] == 200, body
    assert json.loads(body["body"])


def event(method, path, body=None):
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "requestContext": {
            "http": {"method": method, "path": path, "sourceIp": "127.0.0.1", "protocol": "HTTP/1.1", "userAgent": "t"},
            "stage": "$default",
            "requestId": "r",
            "timeEpoch": int(time.time() * 1000),
            "authorizer": {"jwt": {"claims": {"sub": "s", "cognito:groups": "[analyst]"}, "scopes": []}},
        },
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }


def call(functions, name, request):
    answer = json.loads(functions.invoke(FunctionName=name, Payload=json.dumps(request))["Payload"].read())
    assert answer["statusCode"] == 200, answer
    return json.loads(answer["body"])


def first_visual(document):
    """The id of the first visual, wherever the dashboard groups them."""
    if isinstance(document, dict):
        if "visuals" in document:
            return document["visuals"][0]["id"]
        document = list(document.values())
    found = (first_visual(each) for each in document if isinstance(each, dict | list))
    return next((each for each in found if each), None)


def test_a_function_that_lacks_a_grant_fails(labeled):
    """What enforcement is for: the same call after the role lost its Athena permission."""
    iam, functions = labeled.embedded.client("iam"), labeled.embedded.client("lambda")
    name = labeled.embedded.outputs["local-Labeling"]["DashboardsFunction"]
    role = functions.get_function_configuration(FunctionName=name)["Role"].rsplit("/", 1)[-1]
    policies = {
        policy: iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
        for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]
    }
    listing = call(functions, name, event("GET", "/api/dashboards"))["dashboards"]
    spec = call(functions, name, event("GET", f"/api/dashboards/{listing[0]['id']}"))
    visual = first_visual(spec["dashboard"])
    asked = json.dumps(event("POST", f"/api/dashboards/{listing[0]['id']}/query", {"visual": visual, "filters": {}}))

    def ask():
        return json.loads(functions.invoke(FunctionName=name, Payload=asked)["Payload"].read())

    assert ask()["statusCode"] == 200
    for policy in policies:
        iam.delete_role_policy(RoleName=role, PolicyName=policy)
    try:
        refused = ask()
        assert refused["statusCode"] in {500, 502}
        assert "not authorized to perform: athena:StartQueryExecution" in refused["body"]
    finally:
        for policy, document in policies.items():
            iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document))


@pytest.mark.parametrize("path", ["/", "/config.json", "/app/main.js"])
def test_the_console_is_served_by_the_distribution(embedded, path):
    with urlopen(embedded.emulator.console.rstrip("/") + path, timeout=20) as answer:
        body = answer.read()

    assert answer.status == 200
    assert body
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def status(embedded, token=None):
    """What the API answers to the bearer of this token."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = Request(f"{embedded.emulator.console}api/dashboards", headers=headers)
    try:
        with urlopen(request, timeout=20) as answer:
            return answer.status
    except HTTPError as error:
        error.close()
        return error.code


@pytest.fixture(scope="module")
def token(labeled):
    """The demo user's access token, of the user pool itself."""
    outputs = labeled.embedded.outputs["local-Console"]
    tokens = labeled.embedded.client("cognito-idp").admin_initiate_auth(
        UserPoolId=outputs["UserPoolId"],
        ClientId=outputs["UserPoolClientId"],
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": console.USER, "PASSWORD": console.PASSWORD},
    )
    return tokens["AuthenticationResult"]["AccessToken"]


def part(content):
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def opened(text):
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def signed_by_somebody(head, claims):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    signature = key.sign(f"{part(head)}.{part(claims)}".encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{part(head)}.{part(claims)}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


FORGED = {
    "none": lambda *_: None,
    "no token at all": lambda *_: "letmein",
    "another group, old signature": lambda h, c, s: f"{part(h)}.{part(c | {'cognito:groups': ['admin']})}.{s}",
    "a longer life, old signature": lambda h, c, s: f"{part(h)}.{part(c | {'exp': c['exp'] + 9999})}.{s}",
    "no signature": lambda h, c, _: f"{part(h | {'alg': 'none'})}.{part(c)}.",
    "signed by somebody": lambda h, c, _: signed_by_somebody(h, c),
    "signed by somebody, unknown key": lambda h, c, _: signed_by_somebody(h | {"kid": "mine"}, c),
}


def test_the_api_takes_the_pools_token(embedded, token):
    assert status(embedded, token) == 200


@pytest.mark.parametrize("forged", FORGED)
def test_the_api_takes_no_other_token(embedded, token, forged):
    head, claims, signature = token.split(".")
    assert status(embedded, FORGED[forged](opened(head), opened(claims), signature)) == 401
