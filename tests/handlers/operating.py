"""The console's own function and the labeling operation's on API Gateway events, with a Glue workflow and an S3 bucket.

`Workflow` answers as the Glue API does, from runs that a test moves on; `Bucket` as S3 does. Athena is the real engine.
"""

import datetime as dt
import importlib
import io
import json
import os
import sys
from unittest import mock

from botocore.exceptions import ClientError
from botocore.response import StreamingBody

from tests.handlers import lake
from tests.handlers.lake import DATABASE, WORKGROUP
from tests.handlers.serving import CONTEXT

JOB, CRAWLER, AFTER = "label-reports-1A2B", "worker-metrics-3C4D", "annotations-5E6F"
TITLES = {JOB: "Read all output, write the tables", CRAWLER: "Crawl worker metrics"}
SETTINGS = {
    "name": "local",
    "account": "000000000000",
    "region": "us-east-1",
    "systems": ["labeling"],
    "available": ["labeling", "slides"],
    "version": "0.1.0",
    "sections": {
        "environment": {"removal": "destroy", "alarm_email": None, "subnet_ids": []},
        "labeling": {"glue_cron": "cron(0 * * * ? *)", "label_attributes": ["vehicle_type", "moving"], "summary": ""},
        "labeling.cost": {"wage_usd_per_hour": 18.5},
    },
}
REJECTED = [
    {"source": source, "reason": reason, "detail": detail, "bytes": size}
    for source, reason, detail, size in (
        ("street/output.manifest#3", "not JSON", "line ends inside a string", 118),
        ("street/output.manifest#7", "no label attribute", "keys: source-ref, note", 64),
        ("street/worker-response/iteration-1/0/2026-03-02.json", "not JSON", "unexpected end of data", 2031),
        ("street/worker-response/iteration-1/1/2026-03-02.json", "empty object", "", 0),
        ("harbour/o'neill 100%_of.txt", "not part of a Ground Truth output", "no known file name or folder", 12),
        ("harbour/mask.png", "not part of a Ground Truth output", "no known file name or folder", None),
    )
]
BEGUN = dt.datetime(2026, 11, 20, 10, 0, tzinfo=dt.UTC)


def refusal(operation, code, message):
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def node(name, kind, state=None, *, begun=None, seconds=None, error=None, attempts=1):
    """One node of a workflow run's graph; without a state it has not been reached."""
    unique = f"wnode_{name}"
    if kind == "TRIGGER":
        return {"Type": kind, "Name": name, "UniqueId": unique, "TriggerDetails": {}}
    times = {"StartedOn": begun} if begun else {}
    if begun and seconds is not None:
        times["CompletedOn"] = begun + dt.timedelta(seconds=seconds)
    fault = {"ErrorMessage": error} if error else {}
    if kind == "JOB":
        runs = [
            {"Id": f"jr_{i}", "Attempt": i, "JobRunState": "FAILED", "LogGroupName": "/aws-glue/jobs", **times}
            for i in range(attempts)
        ]
        if state:
            runs[-1].update({"JobRunState": state, **fault})
        return {"Type": kind, "Name": name, "UniqueId": unique, "JobDetails": {"JobRuns": runs if state else []}}
    crawl = {"State": state, "LogGroup": "/aws-glue/crawlers", "LogStream": name, **times, **fault}
    return {"Type": kind, "Name": name, "UniqueId": unique, "CrawlerDetails": {"Crawls": [crawl] if state else []}}


def graph(*nodes):
    """The nodes with the triggers between them: schedule → job → trigger → crawlers."""
    start, then = node("schedule", "TRIGGER"), node("after-job", "TRIGGER")
    job = next(each for each in nodes if each["Type"] == "JOB")
    edges = [(start, job), (job, then), *((then, each) for each in nodes if each["Type"] == "CRAWLER")]
    return {
        # In no order that means anything, as Glue gives them.
        "Nodes": [*reversed(nodes), then, start],
        "Edges": [{"SourceId": a["UniqueId"], "DestinationId": b["UniqueId"]} for a, b in edges],
    }


def run(name, status, begun, nodes, seconds=None):
    """A workflow run, with statistics counted from its nodes."""
    states = []
    for each in nodes:
        found = each.get("JobDetails", {}).get("JobRuns") or each.get("CrawlerDetails", {}).get("Crawls") or [{}]
        states.append(found[-1].get("JobRunState") or found[-1].get("State"))
    counted = {
        "TotalActions": len(nodes),
        "SucceededActions": states.count("SUCCEEDED"),
        "FailedActions": states.count("FAILED"),
        "TimeoutActions": states.count("TIMEOUT"),
        "ErroredActions": states.count("ERROR"),
        "StoppedActions": states.count("STOPPED"),
        "RunningActions": states.count("RUNNING"),
    }
    ended = {} if seconds is None else {"CompletedOn": begun + dt.timedelta(seconds=seconds)}
    return {
        "Name": "SMGT-Glue-Workflow",
        "WorkflowRunId": name,
        "StartedOn": begun,
        "Status": status,
        "Statistics": counted,
        "Graph": graph(*nodes),
        **ended,
    }


def good_run(name, begun, seconds=42.0):
    after = begun + dt.timedelta(seconds=30)
    nodes = (
        node(JOB, "JOB", "SUCCEEDED", begun=begun, seconds=30),
        node(CRAWLER, "CRAWLER", "SUCCEEDED", begun=after, seconds=12),
        node(AFTER, "CRAWLER", "SUCCEEDED", begun=after, seconds=8),
    )
    return run(name, "COMPLETED", begun, nodes, seconds)


def failed_run(name, begun):
    failed = node(
        JOB, "JOB", "FAILED", begun=begun, seconds=20, error="AnalysisException: no such table: answer", attempts=2
    )
    return run(name, "COMPLETED", begun, (failed, node(CRAWLER, "CRAWLER"), node(AFTER, "CRAWLER")), 20)


def running_run(name, begun):
    nodes = (node(JOB, "JOB", "RUNNING", begun=begun), node(CRAWLER, "CRAWLER"), node(AFTER, "CRAWLER"))
    return run(name, "RUNNING", begun, nodes)


class Workflow:
    """Glue's workflow operations over `runs`, newest first. `fault` is raised by every call while it is set."""

    def __init__(self, *runs):
        self.runs = list(runs)
        self.fault = None
        self.calls = []

    def _called(self, operation, request):
        self.calls.append((operation, request))
        if self.fault:
            raise refusal(operation, *self.fault)
        assert request["Name"] == "SMGT-Glue-Workflow"

    def _found(self, operation, request):
        self._called(operation, request)
        for each in self.runs:
            if each["WorkflowRunId"] == request["RunId"]:
                return each
        raise refusal(operation, "EntityNotFoundException", f"Workflow run {request['RunId']} not found.")

    def get_workflow_runs(self, **request):
        self._called("GetWorkflowRuns", request)
        at = int(request.get("NextToken", 0))
        page = self.runs[at : at + request["MaxResults"]]
        shown = [{key: value for key, value in each.items() if key != "Graph"} for each in page]
        more = at + len(page) < len(self.runs)
        return {"Runs": shown, **({"NextToken": str(at + len(page))} if more else {})}

    def get_workflow_run(self, **request):
        return {"Run": self._found("GetWorkflowRun", request)}

    def start_workflow_run(self, **request):
        self._called("StartWorkflowRun", request)
        if any(each["Status"] == "RUNNING" for each in self.runs):
            raise refusal("StartWorkflowRun", "ConcurrentRunsExceededException", "1 of 1 runs in progress")
        self.runs.insert(0, running_run(f"wr_new{len(self.runs)}", dt.datetime.now(dt.UTC)))
        return {"RunId": self.runs[0]["WorkflowRunId"]}

    def stop_workflow_run(self, **request):
        found = self._found("StopWorkflowRun", request)
        if found["Status"] != "RUNNING":
            raise refusal("StopWorkflowRun", "IllegalWorkflowStateException", f"it is {found['Status']}")
        stopped = node(JOB, "JOB", "STOPPED", begun=found["StartedOn"], seconds=5)
        nodes = (stopped, node(CRAWLER, "CRAWLER"), node(AFTER, "CRAWLER"))
        found.update(run(request["RunId"], "STOPPED", found["StartedOn"], nodes, 5))
        return {}


class Bucket:
    """S3's GetObject over `objects`: key → (body, modified)."""

    def __init__(self, objects=None):
        self.objects = objects or {}
        self.calls = []

    def get_object(self, **request):
        self.calls.append(request)
        assert request["Bucket"] == "batch"
        if request["Key"] not in self.objects:
            raise refusal("GetObject", "NoSuchKey", "The specified key does not exist.")
        body, modified = self.objects[request["Key"]]
        told = {"LastModified": modified}
        if "Range" in request:
            if not body:
                raise refusal("GetObject", "InvalidRange", "The requested range is not satisfiable")
            last = min(int(request["Range"].rpartition("-")[2]), len(body) - 1)
            told["ContentRange"] = f"bytes 0-{last}/{len(body)}"
            body = body[: last + 1]
        return {**told, "Body": StreamingBody(io.BytesIO(body), len(body))}


def lake_with_quarantine():
    """The embedded Athena over the truth's lake, with REJECTED in quarantine."""
    with mock.patch.dict(lake.INSIGHTS, {"rejected": REJECTED}):
        return lake.LakeAthena(lake.truth())


def load_operation(glue, athena, s3):
    """A cold start of the labeling operation's function."""
    place = {
        "BATCH_BUCKET": "batch",
        "INPUT_PREFIX": "input/",
        "DATABASE": DATABASE,
        "WORKGROUP": WORKGROUP,
        "WORKFLOW": "SMGT-Glue-Workflow",
        "TITLES": json.dumps(TITLES),
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    clients = {"glue": glue, "athena": athena, "s3": s3}
    return _load("lambdas.labeling.operation", place, clients)


def load_console(settings=None):
    """A cold start of the console's function."""
    return _load("lambdas.console.api", {"ENVIRONMENT": json.dumps(settings or SETTINGS)}, {})


def _load(name, variables, clients):
    with mock.patch.dict(os.environ, variables), mock.patch("sextant.aws.client", side_effect=clients.__getitem__):
        sys.modules.pop(name, None)
        module = importlib.import_module(name)
    return lambda request: module.handler(request, CONTEXT)
