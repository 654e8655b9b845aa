import datetime as dt
import json

import pytest

from localaws.engines.glue.engine import Glue
from localaws.engines.glue.process import SparkEngine
from localaws.folder_home import FolderHome
from localaws.home import Call, ServiceError

UTC = dt.UTC


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self, *moment):
        self.seconds = dt.datetime(*moment, tzinfo=UTC).timestamp()

    def __call__(self):
        return self.seconds

    def to(self, *moment):
        self.seconds = dt.datetime(*moment, tzinfo=UTC).timestamp()


def crawler(aws, name, path=None):
    aws.put(f"{path or name}/x.json", '{"a": 1}')
    target = {"S3Targets": [{"Path": f"s3://lake/{path or name}/"}]}
    aws.glue.create_crawler(aws.call, {"Name": name, "Role": "r", "DatabaseName": "db", "Targets": target})


def trigger(aws, name, kind, actions, conditions=(), **more):
    predicate = {
        "Predicate": {
            "Conditions": [{"LogicalOperator": "EQUALS", **c} for c in conditions],
            "Logical": more.pop("Logical", "AND"),
        }
    }
    start = {"StartOnCreation": True} if kind in ("CONDITIONAL", "SCHEDULED") else {}
    request = {"Name": name, "Type": kind, "Actions": actions, **start, **(predicate if conditions else {}), **more}
    aws.glue.create_trigger(aws.call, request)


def run_of(aws, name, run_id, graph=False):
    return aws.glue.get_workflow_run(aws.call, {"Name": name, "RunId": run_id, "IncludeGraph": graph})["Run"]


def ended(aws, name, run_id):
    aws.wait(lambda: run_of(aws, name, run_id)["Status"] not in ("RUNNING", "STOPPING"))
    return run_of(aws, name, run_id, graph=True)


def labeling(aws, script="print('etl')"):
    """The shape of the labeling reports' workflow."""
    for name in ("objects", "audit", "metrics", "annotations"):
        crawler(aws, name)
    aws.job(script, "etl")
    aws.glue.create_workflow(
        aws.call, {"Name": "SMGT-Glue-Workflow", "DefaultRunProperties": {"a": "1"}, "MaxConcurrentRuns": 1}
    )
    inside = {"WorkflowName": "SMGT-Glue-Workflow"}
    trigger(
        aws,
        "hourly",
        "SCHEDULED",
        [{"CrawlerName": "objects"}, {"JobName": "etl", "Arguments": {"--x": "y"}}],
        Schedule="cron(0 * * * ? *)",
        **inside,
    )
    trigger(
        aws,
        "then-audit",
        "CONDITIONAL",
        [{"CrawlerName": "audit"}],
        [{"CrawlerName": "objects", "CrawlState": "SUCCEEDED"}],
        **inside,
    )
    trigger(
        aws,
        "then-crawl",
        "CONDITIONAL",
        [{"CrawlerName": "metrics"}, {"CrawlerName": "annotations"}],
        [{"JobName": "etl", "State": "SUCCEEDED"}],
        **inside,
    )
    return "SMGT-Glue-Workflow"


def test_the_labeling_workflow_runs_whole(aws):
    name = labeling(aws, "import sys; print(sys.argv)")
    run_id = aws.glue.start_workflow_run(aws.call, {"Name": name, "RunProperties": {"b": "2"}})["RunId"]
    with pytest.raises(ServiceError) as error:
        aws.glue.start_workflow_run(aws.call, {"Name": name})
    assert error.value.code == "ConcurrentRunsExceededException"
    run = ended(aws, name, run_id)
    assert run["Status"] == "COMPLETED"
    assert run["Statistics"] == {
        "TotalActions": 5, "SucceededActions": 5, "FailedActions": 0, "TimeoutActions": 0, "StoppedActions": 0,
        "RunningActions": 0,
        "ErroredActions": 0, "WaitingActions": 0,
    }  # fmt: skip
    assert run["CompletedOn"] >= run["StartedOn"]
    assert run["WorkflowRunProperties"] == {"a": "1", "b": "2"}
    assert aws.tables() == ["annotations", "audit", "metrics", "objects"]
    nodes = {(n["Type"], n["Name"]): n for n in run["Graph"]["Nodes"]}
    assert len(nodes) == 8
    ids = {n["UniqueId"]: key for key, n in nodes.items()}
    edges = {(ids[e["SourceId"]], ids[e["DestinationId"]]) for e in run["Graph"]["Edges"]}
    assert (("JOB", "etl"), ("TRIGGER", "then-crawl")) in edges
    assert (("TRIGGER", "then-crawl"), ("CRAWLER", "metrics")) in edges
    job_run = nodes["JOB", "etl"]["JobDetails"]["JobRuns"][0]
    assert (job_run["JobRunState"], job_run["TriggerName"], job_run["Arguments"]) == (
        "SUCCEEDED",
        "hourly",
        {"--x": "y"},
    )
    assert f"'--WORKFLOW_NAME', '{name}', '--WORKFLOW_RUN_ID', '{run_id}'" in aws.log(
        "/aws-glue/jobs/output", job_run["Id"]
    )
    assert nodes["CRAWLER", "metrics"]["CrawlerDetails"]["Crawls"][0]["State"] == "SUCCEEDED"
    assert nodes["TRIGGER", "hourly"]["TriggerDetails"]["Trigger"]["Schedule"] == "cron(0 * * * ? *)"
    workflow = aws.glue.get_workflow(aws.call, {"Name": name, "IncludeGraph": True})["Workflow"]
    assert workflow["LastRun"]["WorkflowRunId"] == run_id
    assert len(workflow["Graph"]["Nodes"]) == 8


def test_a_failed_job_fires_nothing_and_the_run_says_so_then_it_is_resumed(aws):
    name = labeling(aws, "raise ValueError('bad input')")
    run_id = aws.glue.start_workflow_run(aws.call, {"Name": name})["RunId"]
    run = ended(aws, name, run_id)
    assert (run["Status"], run["Statistics"]["SucceededActions"], run["Statistics"]["FailedActions"]) == (
        "COMPLETED",
        2,
        1,
    )
    assert aws.tables() == ["audit", "objects"]
    node = next(n["UniqueId"] for n in run["Graph"]["Nodes"] if n["Name"] == "etl")
    waiting = next(n["UniqueId"] for n in run["Graph"]["Nodes"] if n["Name"] == "metrics")
    with pytest.raises(ServiceError, match="NodeIds"):
        aws.glue.resume_workflow_run(aws.call, {"Name": name, "RunId": run_id, "NodeIds": [waiting]})
    aws.put("etl.py", "print('repaired')", "code")
    resumed = aws.glue.resume_workflow_run(aws.call, {"Name": name, "RunId": run_id, "NodeIds": [node]})
    assert resumed["NodeIds"] == [node]
    run = ended(aws, name, resumed["RunId"])
    assert (run["Status"], run["PreviousRunId"], run["Statistics"]["SucceededActions"]) == ("COMPLETED", run_id, 5)
    assert aws.tables() == ["annotations", "audit", "metrics", "objects"]
    assert len(aws.glue.list_crawls(aws.call, {"CrawlerName": "objects"})["Crawls"]) == 1  # what had finished was kept


def test_an_action_that_cannot_start_is_errored(aws):
    aws.glue.create_workflow(aws.call, {"Name": "w"})
    trigger(aws, "go", "ON_DEMAND", [{"JobName": "missing"}, {"CrawlerName": "missing"}], WorkflowName="w")
    run = ended(aws, "w", aws.glue.start_workflow_run(aws.call, {"Name": "w"})["RunId"])
    assert (run["Status"], run["Statistics"]["ErroredActions"]) == ("COMPLETED", 2)
    crawl = next(n for n in run["Graph"]["Nodes"] if n["Type"] == "CRAWLER")["CrawlerDetails"]["Crawls"][0]
    assert crawl["State"] == "ERROR"
    assert "EntityNotFoundException" in crawl["ErrorMessage"]


@pytest.mark.parametrize(("logical", "fires"), [("AND", False), ("ANY", True)])
def test_and_any(aws, logical, fires):
    aws.job("print(1)", "good")
    aws.job("raise ValueError", "bad")
    aws.job("print('last')", "last")
    aws.glue.create_workflow(aws.call, {"Name": "w"})
    trigger(aws, "go", "ON_DEMAND", [{"JobName": "good"}, {"JobName": "bad"}], WorkflowName="w")
    conditions = [{"JobName": "good", "State": "SUCCEEDED"}, {"JobName": "bad", "State": "SUCCEEDED"}]
    trigger(aws, "join", "CONDITIONAL", [{"JobName": "last"}], conditions, Logical=logical, WorkflowName="w")
    ended(aws, "w", aws.glue.start_workflow_run(aws.call, {"Name": "w"})["RunId"])
    assert len(aws.glue.get_job_runs(aws.call, {"JobName": "last"})["JobRuns"]) == fires


def test_a_conditional_trigger_fires_once_and_only_for_its_own_run(aws):
    """A job that runs outside of the workflow does not move it."""
    aws.job("print(1)", "first")
    aws.job("print(2)", "second")
    aws.glue.create_workflow(aws.call, {"Name": "w"})
    trigger(aws, "go", "ON_DEMAND", [{"JobName": "first"}], WorkflowName="w")
    trigger(
        aws,
        "then",
        "CONDITIONAL",
        [{"JobName": "second"}],
        [{"JobName": "first", "State": "SUCCEEDED"}],
        WorkflowName="w",
    )
    aws.run("first")
    assert aws.glue.get_job_runs(aws.call, {"JobName": "second"})["JobRuns"] == []
    ended(aws, "w", aws.glue.start_workflow_run(aws.call, {"Name": "w"})["RunId"])
    (second,) = aws.glue.get_job_runs(aws.call, {"JobName": "second"})["JobRuns"]
    assert second["PredecessorRuns"][0]["JobName"] == "first"


def test_a_retried_job_counts_when_it_has_really_ended(aws, tmp_path):
    mark = tmp_path / "mark"
    aws.job(
        f"import pathlib\np = pathlib.Path({str(mark)!r})\nif not p.exists():\n    p.touch()\n    raise "
        "ValueError('first time')",
        "flaky",
        MaxRetries=1,
    )
    aws.job("print(1)", "after")
    aws.glue.create_workflow(aws.call, {"Name": "w"})
    trigger(aws, "go", "ON_DEMAND", [{"JobName": "flaky"}], WorkflowName="w")
    trigger(
        aws,
        "then",
        "CONDITIONAL",
        [{"JobName": "after"}],
        [{"JobName": "flaky", "State": "SUCCEEDED"}],
        WorkflowName="w",
    )
    run = ended(aws, "w", aws.glue.start_workflow_run(aws.call, {"Name": "w"})["RunId"])
    assert run["Statistics"]["SucceededActions"] == 2
    flaky = next(n for n in run["Graph"]["Nodes"] if n["Name"] == "flaky")
    assert [r["JobRunState"] for r in flaky["JobDetails"]["JobRuns"]] == ["FAILED", "SUCCEEDED"]


def test_stop_a_workflow_run(aws):
    aws.job("import time; print('up', flush=True); time.sleep(600)", "long")
    aws.job("print(1)", "after")
    aws.glue.create_workflow(aws.call, {"Name": "w"})
    trigger(aws, "go", "ON_DEMAND", [{"JobName": "long"}], WorkflowName="w")
    trigger(
        aws, "then", "CONDITIONAL", [{"JobName": "after"}], [{"JobName": "long", "State": "STOPPED"}], WorkflowName="w"
    )
    run_id = aws.glue.start_workflow_run(aws.call, {"Name": "w"})["RunId"]
    job_run = aws.glue.get_job_runs(aws.call, {"JobName": "long"})["JobRuns"][0]["Id"]
    aws.wait(lambda: aws.log("/aws-glue/jobs/output", job_run))
    aws.glue.stop_workflow_run(aws.call, {"Name": "w", "RunId": run_id})
    run = ended(aws, "w", run_id)
    assert (run["Status"], run["Statistics"]["StoppedActions"]) == ("STOPPED", 1)
    assert aws.glue.get_job_runs(aws.call, {"JobName": "after"})["JobRuns"] == []
    with pytest.raises(ServiceError) as error:
        aws.glue.stop_workflow_run(aws.call, {"Name": "w", "RunId": run_id})
    assert error.value.code == "IllegalWorkflowStateException"


def test_run_properties(aws):
    aws.glue.create_workflow(aws.call, {"Name": "w"})
    with pytest.raises(ServiceError, match="no starting trigger"):
        aws.glue.start_workflow_run(aws.call, {"Name": "w"})
    trigger(aws, "go", "ON_DEMAND", [{"JobName": "x"}], WorkflowName="w")
    run_id = aws.glue.start_workflow_run(aws.call, {"Name": "w", "RunProperties": {"a": "1"}})["RunId"]
    aws.glue.put_workflow_run_properties(aws.call, {"Name": "w", "RunId": run_id, "RunProperties": {"b": "2"}})
    assert aws.glue.get_workflow_run_properties(aws.call, {"Name": "w", "RunId": run_id})["RunProperties"] == {
        "a": "1",
        "b": "2",
    }
    assert aws.glue.get_workflow_runs(aws.call, {"Name": "w"})["Runs"][0]["WorkflowRunId"] == run_id
    with pytest.raises(ServiceError) as error:
        aws.glue.get_workflow_run(aws.call, {"Name": "w", "RunId": "wr_none"})
    assert error.value.code == "EntityNotFoundException"


def test_conditional_triggers_outside_of_workflows_follow_triggered_runs(aws):
    aws.job("print(1)", "first")
    aws.job("print(2)", "second")
    trigger(aws, "go", "ON_DEMAND", [{"JobName": "first"}])
    trigger(aws, "then", "CONDITIONAL", [{"JobName": "second"}], [{"JobName": "first", "State": "SUCCEEDED"}])
    aws.run("first")  # not started by a trigger: as on AWS it does not count
    assert aws.glue.get_job_runs(aws.call, {"JobName": "second"})["JobRuns"] == []
    aws.glue.start_trigger(aws.call, {"Name": "go"})
    run = aws.wait(lambda: aws.glue.get_job_runs(aws.call, {"JobName": "second"})["JobRuns"])[0]
    assert aws.finish("second", run["Id"])["TriggerName"] == "then"


def test_schedules_fire_at_their_time_and_missed_ones_are_not_made_up_for(tmp_path):
    home, clock = FolderHome(tmp_path), Clock(2026, 11, 21, 8, 30)
    call = Call("111122223333", "eu-west-1")
    glue = Glue(home, engine=SparkEngine(), clock=clock, schedule=False)
    glue.create_workflow(call, {"Name": "w"})
    base = {"Type": "SCHEDULED", "Schedule": "cron(0 * * * ? *)", "Actions": [{"JobName": "none"}]}
    glue.create_trigger(call, {"Name": "t", "WorkflowName": "w", "StartOnCreation": True, **base})
    glue.create_trigger(call, {"Name": "asleep", **base})
    home.catalog(*call_place(call)).create_database({"Name": "db"})
    home.objects(call.account).create_bucket("lake")
    glue.create_crawler(
        call,
        {
            "Name": "c",
            "Role": "r",
            "DatabaseName": "db",
            "Schedule": "cron(30 9 * * ? *)",
            "Targets": {"S3Targets": [{"Path": "s3://lake/"}]},
        },
    )
    runs = lambda: len(glue.get_workflow_runs(call, {"Name": "w"})["Runs"])  # noqa: E731
    crawls = lambda: len(glue.list_crawls(call, {"CrawlerName": "c"})["Crawls"])  # noqa: E731
    assert glue._tick() == dt.datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
    clock.to(2026, 11, 21, 8, 59)
    glue._tick()
    assert (runs(), crawls()) == (0, 0)
    clock.to(2026, 11, 21, 9, 0)
    assert glue._tick() == dt.datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    assert (runs(), crawls()) == (1, 0)
    clock.to(2026, 11, 21, 9, 31)
    glue._tick()
    assert (runs(), crawls()) == (1, 1)
    clock.to(2026, 11, 21, 14, 10)  # the machine slept: one firing for the time that has come, not five
    glue._tick()
    glue._tick()
    assert runs() == 2
    glue.stop_trigger(call, {"Name": "t"})
    assert glue.get_trigger(call, {"Name": "t"})["Trigger"]["State"] == "DEACTIVATED"
    clock.to(2026, 11, 21, 15, 0)
    glue._tick()
    assert runs() == 2
    glue.start_trigger(call, {"Name": "t"})
    glue.close()
    clock.to(2026, 11, 21, 20, 30)  # down meanwhile
    again = Glue(home, engine=SparkEngine(), clock=clock, schedule=False)
    assert again._tick() == dt.datetime(2026, 11, 21, 21, 0, tzinfo=UTC)
    assert len(again.get_workflow_runs(call, {"Name": "w"})["Runs"]) == 2
    again.close()


def call_place(call):
    return call.account, call.region


def test_the_schedule_thread_wakes_for_new_triggers(tmp_path):
    """Real time: the clock is set so that the next full hour is a second away."""
    import time

    offset = dt.datetime(2026, 11, 21, 8, 59, 58, tzinfo=UTC).timestamp() - time.time()
    home, call = FolderHome(tmp_path), Call("111122223333", "eu-west-1")
    glue = Glue(home, engine=SparkEngine(), clock=lambda: time.time() + offset)
    glue.create_workflow(call, {"Name": "w"})
    glue.create_trigger(
        call,
        {
            "Name": "t",
            "WorkflowName": "w",
            "Type": "SCHEDULED",
            "StartOnCreation": True,
            "Schedule": "cron(0 * * * ? *)",
            "Actions": [{"JobName": "none"}],
        },
    )
    end = time.monotonic() + 30
    while not glue.get_workflow_runs(call, {"Name": "w"})["Runs"]:
        assert time.monotonic() < end
        time.sleep(0.05)
    glue.close()


def test_event_triggers_batch(tmp_path):
    home, clock = FolderHome(tmp_path), Clock(2026, 11, 21, 8, 30)
    call = Call("111122223333", "eu-west-1")
    glue = Glue(home, engine=SparkEngine(), clock=clock, schedule=False)
    glue.create_workflow(call, {"Name": "w"})
    glue.create_trigger(
        call,
        {
            "Name": "t",
            "WorkflowName": "w",
            "Type": "EVENT",
            "Actions": [{"JobName": "none"}],
            "EventBatchingCondition": {"BatchSize": 3, "BatchWindow": 60},
        },
    )
    runs = lambda: glue.get_workflow_runs(call, {"Name": "w"})["Runs"]  # noqa: E731
    for event in ("e1", "e2"):
        glue.notify_event(call, {"WorkflowName": "w", "EventId": event})
    assert runs() == []
    glue.notify_event(call, {"WorkflowName": "w", "EventId": "e3"})
    assert runs()[0]["WorkflowRunProperties"] == {"aws:eventIds": "[e1, e2, e3]"}
    assert runs()[0]["StartingEventBatchCondition"] == {"BatchSize": 3, "BatchWindow": 60}
    glue.notify_event(call, {"WorkflowName": "w", "EventId": "e4"})
    assert glue._tick() == dt.datetime(2026, 11, 21, 8, 31, tzinfo=UTC)
    clock.to(2026, 11, 21, 8, 31)
    glue._tick()
    assert len(runs()) == 2
    glue.close()


def test_a_workflow_run_goes_on_after_an_unclean_stop(aws, home):
    """Its job was in progress: that has failed, and what waits for the failure runs."""
    aws.job("import time; print('up', flush=True); time.sleep(600)", "long")
    aws.job("print('cleanup')", "cleanup")
    aws.glue.create_workflow(aws.call, {"Name": "w"})
    trigger(aws, "go", "ON_DEMAND", [{"JobName": "long"}], WorkflowName="w")
    trigger(
        aws, "then", "CONDITIONAL", [{"JobName": "cleanup"}], [{"JobName": "long", "State": "FAILED"}], WorkflowName="w"
    )
    run_id = aws.glue.start_workflow_run(aws.call, {"Name": "w"})["RunId"]
    job_run = aws.glue.get_job_runs(aws.call, {"JobName": "long"})["JobRuns"][0]["Id"]
    aws.wait(lambda: aws.log("/aws-glue/jobs/output", job_run))
    # What a kill -9 leaves: the records as they are now, on a new engine.
    left = {kind: {key: home.records(kind)[key] for key in home.records(kind)} for kind in list(home._records)}
    aws.glue.batch_stop_job_run(aws.call, {"JobName": "long", "JobRunIds": [job_run]})
    aws.finish("long", job_run)
    for kind, documents in left.items():
        home.records(kind).clear()
        home.records(kind).update(documents)
    restarted = Glue(home, engine=SparkEngine(), schedule=False)
    get = lambda: restarted.get_workflow_run(aws.call, {"Name": "w", "RunId": run_id})["Run"]  # noqa: E731
    aws.wait(lambda: get()["Status"] == "COMPLETED")
    assert (get()["Statistics"]["FailedActions"], get()["Statistics"]["SucceededActions"]) == (1, 1)
    restarted.close()


def test_definitions(aws):
    aws.glue.create_workflow(aws.call, {"Name": "w", "Tags": {"a": "b"}})
    with pytest.raises(ServiceError) as error:
        aws.glue.create_workflow(aws.call, {"Name": "w"})
    assert error.value.code == "AlreadyExistsException"
    action = [{"JobName": "j"}]
    job_done = {"Conditions": [{"LogicalOperator": "EQUALS", "JobName": "j", "State": "SUCCEEDED"}]}
    for request, code, reason in [
        ({"Type": "SCHEDULED"}, "InvalidInputException", "needs a Schedule"),
        ({"Type": "SCHEDULED", "Schedule": "rate(1 hour)"}, "InvalidInputException", "rate"),
        ({"Type": "ON_DEMAND", "Schedule": "cron(0 * * * ? *)"}, "InvalidInputException", "cannot have a Schedule"),
        ({"Type": "CONDITIONAL"}, "InvalidInputException", "needs a Predicate"),
        ({"Type": "ON_DEMAND", "StartOnCreation": True}, "InvalidInputException", "StartOnCreation"),
        ({"Type": "EVENT"}, "InvalidInputException", "belong to a workflow"),
        ({"Type": "ON_DEMAND", "WorkflowName": "none"}, "EntityNotFoundException", "none"),
        ({"Type": "ON_DEMAND", "Actions": [{}]}, "InvalidInputException", "either a job or a crawler"),
        (
            {"Type": "CONDITIONAL", "Predicate": {"Conditions": [{"JobName": "j", "State": "DONE"}]}},
            "InvalidInputException",
            "DONE",
        ),
        (
            {"Type": "CONDITIONAL", "Predicate": {"Conditions": [*job_done["Conditions"]] * 2}},
            "InvalidInputException",
            "AND or ANY",
        ),
    ]:
        with pytest.raises(ServiceError, match=reason) as error:
            aws.glue.create_trigger(aws.call, {"Name": "t", "Actions": action, **request})
        assert error.value.code == code
    aws.glue.create_trigger(aws.call, {"Name": "start", "Type": "ON_DEMAND", "Actions": action, "WorkflowName": "w"})
    with pytest.raises(ServiceError, match="starting trigger start"):
        aws.glue.create_trigger(
            aws.call, {"Name": "other", "Type": "ON_DEMAND", "Actions": action, "WorkflowName": "w"}
        )
    aws.glue.create_trigger(
        aws.call,
        {
            "Name": "next",
            "Type": "CONDITIONAL",
            "Actions": [{"JobName": "k"}],
            "Predicate": job_done,
            "WorkflowName": "w",
        },
    )
    assert aws.glue.get_trigger(aws.call, {"Name": "next"})["Trigger"]["State"] == "CREATED"
    changed = aws.glue.update_trigger(aws.call, {"Name": "next", "TriggerUpdate": {"Description": "d"}})["Trigger"]
    assert changed["Description"] == "d"
    assert aws.glue.list_triggers(aws.call, {})["TriggerNames"] == ["next", "start"]
    aws.job("print(1)", "k")
    assert [t["Name"] for t in aws.glue.get_triggers(aws.call, {"DependentJobName": "k"})["Triggers"]] == ["next"]
    assert aws.glue.batch_get_triggers(aws.call, {"TriggerNames": ["start", "x"]})["TriggersNotFound"] == ["x"]
    with pytest.raises(ServiceError, match="nothing to stop"):
        aws.glue.stop_trigger(aws.call, {"Name": "start"})
    aws.glue.update_workflow(aws.call, {"Name": "w", "Description": "new"})
    found = aws.glue.batch_get_workflows(aws.call, {"Names": ["w", "x"]})
    assert (found["Workflows"][0]["Description"], found["MissingWorkflows"]) == ("new", ["x"])
    assert aws.glue.list_workflows(aws.call, {})["Workflows"] == ["w"]
    aws.glue.delete_workflow(aws.call, {"Name": "w"})
    assert aws.glue.list_triggers(aws.call, {})["TriggerNames"] == []
    aws.glue.delete_trigger(aws.call, {"Name": "start"})
    with pytest.raises(ServiceError) as error:
        aws.glue.get_workflow(aws.call, {"Name": "w"})
    assert error.value.code == "EntityNotFoundException"


def test_every_response_has_botocores_shape(aws):
    """What the engine answers is serialised by botocore's model on the wire: each member must exist there."""
    import botocore.session

    model = botocore.session.get_session().get_service_model("glue")
    name = labeling(aws)
    run_id = aws.glue.start_workflow_run(aws.call, {"Name": name})["RunId"]
    ended(aws, name, run_id)
    job_run = aws.glue.get_job_runs(aws.call, {"JobName": "etl"})["JobRuns"][0]["Id"]
    calls = {
        "GetCrawler": {"Name": "objects"}, "GetCrawlers": {}, "ListCrawls": {"CrawlerName": "objects"},
        "GetCrawlerMetrics": {}, "GetJob": {"JobName": "etl"},
        "GetJobRun": {"JobName": "etl", "RunId": job_run}, "GetJobRuns": {"JobName": "etl"},
        "GetTrigger": {"Name": "then-audit"}, "GetTriggers": {},
        "GetWorkflow": {"Name": name, "IncludeGraph": True},
        "GetWorkflowRun": {"Name": name, "RunId": run_id, "IncludeGraph": True},
        "GetWorkflowRuns": {"Name": name, "IncludeGraph": True},
        "BatchGetWorkflows": {"Names": [name], "IncludeGraph": True},
        "BatchGetCrawlers": {"CrawlerNames": ["objects"]}, "ListCrawlers": {}, "ListJobs": {}, "ListTriggers": {},
        "ListWorkflows": {},
    }  # fmt: skip

    def check(value, shape, where):
        if shape.type_name == "structure":
            assert isinstance(value, dict), where
            assert set(value) <= set(shape.members), f"{where}: {set(value) - set(shape.members)}"
            for key, inner in value.items():
                check(inner, shape.members[key], f"{where}.{key}")
        elif shape.type_name == "list":
            assert isinstance(value, list), where
            for inner in value:
                check(inner, shape.member, where)
        elif shape.type_name == "map":
            assert all(isinstance(k, str) and isinstance(v, str) for k, v in value.items()), where
        else:
            kinds = {
                "string": str,
                "integer": int,
                "long": int,
                "double": (int, float),
                "boolean": bool,
                "timestamp": dt.datetime,
            }
            assert isinstance(value, kinds[shape.type_name]), f"{where} = {value!r}"
            if getattr(shape, "enum", None):
                assert value in shape.enum, f"{where} = {value!r}"

    for operation, params in calls.items():
        method = "".join(f"_{c.lower()}" if c.isupper() else c for c in operation).lstrip("_")
        answer = getattr(aws.glue, method)(aws.call, params)
        check(answer, model.operation_model(operation).output_shape, operation)
        json.dumps(answer, default=str)
