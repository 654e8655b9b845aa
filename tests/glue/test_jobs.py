import contextlib
import io
import json
import os
import signal
import zipfile
from pathlib import Path

import pytest

from localaws.engines.glue.engine import Glue
from localaws.engines.glue.process import SparkEngine
from localaws.home import Call, ServiceError

HELLO = """
import sys
from awsglue.utils import getResolvedOptions
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
options = getResolvedOptions(sys.argv, ["JOB_NAME", "WORD"])
print("argv", sys.argv[1:])
print("rows", spark.sql("SELECT :w AS word, 7 / 2 AS half", {"w": options["WORD"]}).collect())
print("to the error log", file=sys.stderr)
"""


def states(aws):
    return [
        (e["detail"]["state"], e["detail"]["severity"])
        for e in aws.home.events
        if e["detail-type"] == "Glue Job State Change"
    ]


def test_a_glueetl_job_runs_with_arguments_logs_and_event(aws):
    aws.job(
        HELLO,
        DefaultArguments={"--WORD": "default", "--extra-py-files": "", "--enable-metrics": "true"},
        GlueVersion="5.1",
        WorkerType="G.1X",
        NumberOfWorkers=2,
    )
    run = aws.run(Arguments={"--WORD": "given"})
    assert run["JobRunState"] == "SUCCEEDED", aws.log("/aws-glue/jobs/error", run["Id"])
    assert run["Arguments"] == {"--WORD": "given", "--extra-py-files": "", "--enable-metrics": "true"}
    assert (run["Attempt"], run["GlueVersion"], run["WorkerType"], run["NumberOfWorkers"]) == (0, "5.1", "G.1X", 2)
    assert run["CompletedOn"] >= run["StartedOn"]
    output = aws.log("/aws-glue/jobs/output", run["Id"])
    assert f"argv ['--JOB_NAME', 'j', '--JOB_RUN_ID', '{run['Id']}', '--WORD', 'given']" in output
    assert "rows [Row(word='given', half=3.5)]" in output
    assert aws.log("/aws-glue/jobs/error", run["Id"]) == "to the error log"
    assert states(aws) == [("SUCCEEDED", "INFO")]


def test_a_job_sees_only_its_role_and_its_libraries(aws, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the emulator's own")
    monkeypatch.setenv("SOME_SETTING", "of the emulator")
    aws.job("import os, json\nprint(json.dumps(dict(os.environ)))\nimport localaws")
    run = aws.run()
    assert run["JobRunState"] == "FAILED"
    assert "No module named 'localaws'" in run["ErrorMessage"]  # the checkout is not on a job's path
    seen = json.loads(aws.log("/aws-glue/jobs/output", run["Id"]))
    assert (seen["AWS_SECRET_ACCESS_KEY"], seen["AWS_ACCESS_KEY_ID"], seen["TZ"]) == ("local", "111122223333", "UTC")
    assert "SOME_SETTING" not in seen


def test_python_shell(aws):
    aws.job(
        "import sys, importlib.util\nprint(sys.argv[1:], importlib.util.find_spec('pyspark'))",
        command="pythonshell",
        DefaultArguments={"--day": "x y"},
    )
    run = aws.run()
    assert run["JobRunState"] == "SUCCEEDED"
    assert aws.log("/aws-glue/python-jobs/output", run["Id"]).endswith("'--day', 'x y'] None")


def wheel(**files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "/") + ".py", text)
    return out.getvalue()


def test_libraries(aws):
    aws.put("lib/one-1.0-py3-none-any.whl", wheel(pack__inner="value = 1"), "code")
    aws.put("lib/two.zip", wheel(two="value = 2"), "code")
    aws.put("lib/three.py", "value = 3", "code")
    aws.job(
        "from pack.inner import value as a\nimport two, three, pyarrow\nprint(a, two.value, three.value)",
        DefaultArguments={
            "--extra-py-files": "s3://code/lib/two.zip,s3://code/lib/three.py",
            "--additional-python-modules": "pyarrow, s3://code/lib/one-1.0-py3-none-any.whl",
        },
    )
    run = aws.run()
    assert run["JobRunState"] == "SUCCEEDED", aws.log("/aws-glue/jobs/error", run["Id"])
    assert aws.log("/aws-glue/jobs/output", run["Id"]) == "1 2 3"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"--additional-python-modules": "no-such-module-here"}, "is not installed and nothing is downloaded"),
        ({"--additional-python-modules": "pyarrow==0.0.1"}, "is installed as"),
        ({"--extra-py-files": "s3://code/missing.zip"}, "NoSuchKey"),
        ({"--extra-py-files": "s3://code/j.txt"}, "only .py, .zip"),
    ],
)
def test_missing_libraries_fail_the_run_with_the_remedy(aws, arguments, reason):
    aws.put("j.txt", "x", "code")
    aws.job("print(1)")
    run = aws.run(Arguments=arguments)
    assert run["JobRunState"] == "FAILED"
    assert reason in run["ErrorMessage"]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("raise ValueError('the reason')", "ValueError: the reason"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("def broken(:\n  pass", "SyntaxError"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "killed by signal 9"),
        ("import os; os._exit(7)", "exit code 7"),
        (
            "from pyspark.sql import SparkSession\nSparkSession.builder.getOrCreate().sql('select xxhash64(1)')",
            "xxhash64() is not supported",
        ),
        ("from pyspark.sql.functions import col", "write the expression as Spark SQL"),
        (
            "import sys\nfrom awsglue.utils import getResolvedOptions\ngetResolvedOptions(sys.argv, ['MISSING'])",
            "--MISSING",
        ),
        ("from awsglue.context import GlueContext\nGlueContext().create_dynamic_frame", "DynamicFrames"),
    ],
)
def test_failures_say_why(aws, script, message):
    aws.job(script)
    run = aws.run()
    assert run["JobRunState"] == "FAILED"
    assert message in run["ErrorMessage"]
    assert states(aws) == [("FAILED", "ERROR")]


def test_exit_zero_is_success(aws):
    aws.job("import sys; sys.exit(0)")
    assert aws.run()["JobRunState"] == "SUCCEEDED"


SLEEP = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("child", child.pid)
time.sleep(600)
"""


def child_of(aws, run_id):
    line = aws.wait(lambda: aws.log("/aws-glue/jobs/output", run_id))
    return int(line.split()[1])


def gone(pid):
    """Whether a process has ended (one that nobody has waited for counts)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_timeout_ends_the_whole_process_group(home, aws):
    engine = Glue(home, engine=SparkEngine(), minute=1.0, schedule=False)
    aws.put("s.py", SLEEP, "code")
    engine.create_job(
        aws.call,
        {"Name": "s", "Role": "r", "Command": {"Name": "glueetl", "ScriptLocation": "s3://code/s.py"}, "Timeout": 2},
    )
    run_id = engine.start_job_run(aws.call, {"JobName": "s"})["JobRunId"]
    child = child_of(aws, run_id)
    state = lambda: engine.get_job_run(aws.call, {"JobName": "s", "RunId": run_id})["JobRun"]["JobRunState"]  # noqa: E731
    assert aws.wait(lambda: (s := state()) not in ("STARTING", "RUNNING") and s) == "TIMEOUT"
    aws.wait(lambda: gone(child))
    assert states(aws) == [("TIMEOUT", "WARN")]
    engine.close()


def test_stop(aws):
    aws.job(SLEEP, ExecutionProperty={"MaxConcurrentRuns": 2})
    run_id = aws.glue.start_job_run(aws.call, {"JobName": "j"})["JobRunId"]
    child = child_of(aws, run_id)
    answer = aws.glue.batch_stop_job_run(aws.call, {"JobName": "j", "JobRunIds": [run_id, "jr_none"]})
    assert answer["SuccessfulSubmissions"] == [{"JobName": "j", "JobRunId": run_id}]
    assert answer["Errors"][0]["ErrorDetail"]["ErrorCode"] == "EntityNotFoundException"
    assert aws.finish("j", run_id)["JobRunState"] == "STOPPED"
    aws.wait(lambda: gone(child))


def test_retries_are_runs_of_their_own(aws):
    aws.job("raise ValueError('again')", MaxRetries=2)
    first = aws.run()
    runs = aws.wait(
        lambda: (
            (r := aws.glue.get_job_runs(aws.call, {"JobName": "j"})["JobRuns"])
            and len(r) == 3
            and all(x["JobRunState"] == "FAILED" for x in r)
            and r
        )
    )
    assert [run["Attempt"] for run in runs] == [2, 1, 0]
    assert runs[0]["Id"] == f"{first['Id']}_attempt_2"
    assert runs[0]["PreviousRunId"] == f"{first['Id']}_attempt_1"


def test_concurrency(aws):
    aws.job("import time; time.sleep(600)", ExecutionProperty={"MaxConcurrentRuns": 3})
    ids = [aws.glue.start_job_run(aws.call, {"JobName": "j"})["JobRunId"] for _ in range(3)]
    with pytest.raises(ServiceError) as error:
        aws.glue.start_job_run(aws.call, {"JobName": "j"})
    assert error.value.code == "ConcurrentRunsExceededException"
    state = lambda at: aws.glue.get_job_run(aws.call, {"JobName": "j", "RunId": ids[at]})["JobRun"]["JobRunState"]  # noqa: E731
    aws.wait(lambda: state(0) == state(1) == "RUNNING")
    assert state(2) == "STARTING"  # at most two at once on one machine
    aws.glue.batch_stop_job_run(aws.call, {"JobName": "j", "JobRunIds": ids})
    assert {aws.finish("j", run_id)["JobRunState"] for run_id in ids} == {"STOPPED"}


ETL = """
import sys, time, pathlib
from awsglue.utils import getResolvedOptions
from pyspark.sql import SparkSession
import pyarrow as pa
options = getResolvedOptions(sys.argv, ["INPUT", "OUTPUT", "PAUSE"])
spark = SparkSession.builder.getOrCreate()

def parse(batches):
    for batch in batches:
        rows = [{"path": p.rpartition("/")[2], "bytes": n} for p, n in zip(batch["path"].to_pylist(),
        batch["length"].to_pylist())]
        yield pa.RecordBatch.from_pylist(rows, schema=pa.schema([("path", pa.string()), ("bytes", pa.int64())]))

files = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(options["INPUT"])
files.mapInArrow(parse, "path STRING, bytes BIGINT").createOrReplaceTempView("files")
sizes = spark.sql("SELECT bytes, count(*) AS n, min(path) AS first FROM files GROUP BY bytes ORDER BY bytes")
sizes.write.mode("overwrite").parquet(options["OUTPUT"] + "/sizes")
print("half", flush=True)
time.sleep(float(options["PAUSE"]))
spark.sql("SELECT * FROM files ORDER BY path").write.mode("overwrite").parquet(options["OUTPUT"] + "/files")
"""


def content(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_job_killed_in_mid_run_gives_the_same_when_run_again(aws, tmp_path):
    source, undisturbed, disturbed = tmp_path / "in", tmp_path / "one", tmp_path / "two"
    for at in range(30):
        (source / str(at)).mkdir(parents=True)
        (source / str(at) / f"{at}.json").write_text("x" * (at % 7))
    aws.job(ETL)
    assert (
        aws.run(Arguments={"--INPUT": f"file://{source}", "--OUTPUT": f"file://{undisturbed}", "--PAUSE": "0"})[
            "JobRunState"
        ]
        == "SUCCEEDED"
    )
    run_id = aws.glue.start_job_run(
        aws.call, {"JobName": "j", "Arguments": {"--INPUT": str(source), "--OUTPUT": str(disturbed), "--PAUSE": "600"}}
    )["JobRunId"]
    aws.wait(lambda: "half" in aws.log("/aws-glue/jobs/output", run_id))
    (process,) = [p for p in children() if "launch.py" in p[1]]
    os.kill(process[0], signal.SIGKILL)
    killed = aws.finish("j", run_id)
    assert (killed["JobRunState"], "signal 9" in killed["ErrorMessage"]) == ("FAILED", True)
    assert (
        aws.run(Arguments={"--INPUT": str(source), "--OUTPUT": str(disturbed), "--PAUSE": "0"})["JobRunState"]
        == "SUCCEEDED"
    )
    one, two = content(undisturbed), content(disturbed)
    assert sorted(one.values()) == sorted(two.values())
    assert [name.split("-")[0] for name in two] == [name.split("-")[0] for name in one]
    assert not list((aws.home.scratch / "glue").iterdir())


def children():
    """(pid, command line) of this process's children."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "stat").read_text().rpartition(")")[2].split()[1] == str(os.getpid()):
                found.append((int(entry.name), (entry / "cmdline").read_text()))
    return found


def test_jobs_end_with_the_emulator(aws, tmp_path):
    """A launcher whose parent's end of the pipe closes kills its whole group."""
    import subprocess
    import sys

    from localaws.engines.glue import process

    script = tmp_path / "script.py"
    script.write_text(SLEEP)
    (tmp_path / "spec.json").write_text(
        json.dumps({"script": str(script), "argv": [], "path": [], "hide": [], "outcome": str(tmp_path / "o")})
    )
    started = subprocess.Popen(
        [sys.executable, "-u", str(process.HERE / "launch.py"), str(tmp_path / "spec.json")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    child = int(started.stdout.readline().split()[1])
    started.stdin.close()
    assert started.wait(20) == -signal.SIGKILL
    started.stdout.close()
    aws.wait(lambda: gone(child))


def test_runs_found_in_progress_at_start_have_failed(aws, home):
    aws.job("print(1)")
    run = aws.run()
    records = home.records("glue_job_runs")
    key = f"111122223333/eu-west-1/j/{run['Id']}"
    records[key] = {**records[key], "JobRunState": "RUNNING"}
    restarted = Glue(home, schedule=False)
    found = restarted.get_job_run(aws.call, {"JobName": "j", "RunId": run["Id"]})["JobRun"]
    restarted.close()
    assert found["JobRunState"] == "FAILED"
    assert "start the job again" in found["ErrorMessage"]


def test_definitions(aws):
    base = {"Role": "r", "Command": {"Name": "glueetl", "ScriptLocation": "s3://code/x.py"}}
    for change, reason in [
        ({"Command": {"Name": "glueray", "ScriptLocation": "s3://x/y"}}, "glueray"),
        ({"Command": {"Name": "glueetl", "ScriptLocation": "x.py"}}, "s3:// path"),
        ({"DefaultArguments": {"--job-bookmark-option": "job-bookmark-enable"}}, "bookmarks are not supported"),
        ({"JobRunQueuingEnabled": True}, "JobRunQueuingEnabled"),
    ]:
        with pytest.raises(ServiceError, match=reason) as error:
            aws.glue.create_job(aws.call, {"Name": "j", **base, **change})
        assert error.value.code == "InvalidInputException"
    for at in range(3):
        aws.glue.create_job(
            aws.call, {"Name": f"j{at}", **base, "MaxRetries": 1, "NonOverridableArguments": {"--fixed": "1"}}
        )
    with pytest.raises(ServiceError) as error:
        aws.glue.create_job(aws.call, {"Name": "j0", **base})
    assert error.value.code == "AlreadyExistsException"
    with pytest.raises(ServiceError, match="--fixed"):
        aws.glue.start_job_run(aws.call, {"JobName": "j0", "Arguments": {"--fixed": "2"}})
    aws.glue.update_job(aws.call, {"JobName": "j0", "JobUpdate": {**base, "Timeout": 7}})
    job = aws.glue.get_job(aws.call, {"JobName": "j0"})["Job"]
    assert (job["Timeout"], job["MaxRetries"]) == (7, 0)  # what an update leaves out goes back to its default
    page = aws.glue.get_jobs(aws.call, {"MaxResults": 2})
    assert len(page["Jobs"]) == 2
    assert [j["Name"] for j in aws.glue.get_jobs(aws.call, {"NextToken": page["NextToken"]})["Jobs"]] == ["j2"]
    assert aws.glue.batch_get_jobs(aws.call, {"JobNames": ["j1", "x"]})["JobsNotFound"] == ["x"]
    with pytest.raises(ServiceError, match="not supported here") as error:
        aws.glue.get_job_bookmark(aws.call, {"JobName": "j0"})
    assert error.value.code == "EntityNotFoundException"
    aws.glue.delete_job(aws.call, {"JobName": "j0"})
    aws.glue.delete_job(aws.call, {"JobName": "j0"})  # as on AWS, deleting twice is no error
    for operation, params in [
        ("get_job", {}),
        ("start_job_run", {}),
        ("get_job_runs", {}),
        ("get_job_run", {"RunId": "x"}),
    ]:
        with pytest.raises(ServiceError) as error:
            getattr(aws.glue, operation)(aws.call, {"JobName": "j0", **params})
        assert error.value.code == "EntityNotFoundException"


def test_the_script_is_read_as_the_role(aws, monkeypatch):
    def authorize(action, resource):
        raise ServiceError("AccessDeniedException", f"{action} on {resource}")

    monkeypatch.setattr(
        aws.home, "as_role", lambda account, region, role, _service: Call(account, region, authorize, role)
    )
    aws.job("print(1)")
    run = aws.run()
    assert run["ErrorMessage"] == "AccessDeniedException: s3:GetObject on arn:aws:s3:::code/j.py"
    assert run["JobRunState"] == "FAILED"


def test_who_makes_a_job_must_be_allowed_to_pass_its_role_to_glue(aws):
    """IAM policies limit iam:PassRole by the service that gets the role: it is told with the request."""
    asked = []
    call = Call(aws.call.account, aws.call.region, lambda *request: asked.append(request))
    command = {"Name": "pythonshell", "ScriptLocation": "s3://code/j.py"}
    aws.glue.create_job(call, {"Name": "j", "Role": "etl", "Command": command})
    aws.glue.create_crawler(
        call, {"Name": "c", "Role": "etl", "DatabaseName": "db", "Targets": {"S3Targets": [{"Path": "s3://lake/d/"}]}}
    )
    passed = ("iam:PassRole", "arn:aws:iam::111122223333:role/etl", {"iam:PassedToService": "glue.amazonaws.com"})
    assert asked == [passed, passed]


def test_output_is_live(aws):
    aws.job("import time\nprint('first', flush=True)\ntime.sleep(600)")
    run_id = aws.glue.start_job_run(aws.call, {"JobName": "j"})["JobRunId"]
    aws.wait(lambda: aws.log("/aws-glue/jobs/output", run_id) == "first")
    assert aws.glue.get_job_run(aws.call, {"JobName": "j", "RunId": run_id})["JobRun"]["JobRunState"] == "RUNNING"
    aws.glue.batch_stop_job_run(aws.call, {"JobName": "j", "JobRunIds": [run_id]})
    aws.finish("j", run_id)
