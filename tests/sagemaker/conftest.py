import textwrap
import time
from types import SimpleNamespace

import pytest

from localaws.engines.sagemaker import data
from localaws.engines.sagemaker.engine import SageMaker
from localaws.engines.sagemaker.images import bucket_of, key_of, packed
from localaws.folder_home import FolderHome
from localaws.home import Call

CALL = Call("111122223333", "eu-west-1")
ROLE = "arn:aws:iam::111122223333:role/job"
FINAL = ("Completed", "Failed", "Stopped")


@pytest.fixture
def home(tmp_path):
    made = FolderHome(tmp_path)
    for bucket in ("data", bucket_of(CALL.account, CALL.region)):
        made.objects(CALL.account).create_bucket(bucket)
    return made


@pytest.fixture
def sagemaker(home, monkeypatch):
    monkeypatch.setattr(data, "SYNC_SECONDS", 0.1)
    engine = SageMaker(home, slots=4, grace=1.0)
    yield engine
    engine.close()


@pytest.fixture
def aws(home, sagemaker, tmp_path):
    """Shorthand for what most tests do."""
    objects = home.objects(CALL.account)

    def put(key, body):
        objects.write("data", key, body if isinstance(body, bytes) else body.encode())

    def image(script, name="tool", dockerfile='WORKDIR /opt/program\nENTRYPOINT ["python3", "main.py"]\n', **files):
        """Publishes an image whose main.py is the script; its URI."""
        context = tmp_path / "contexts" / name
        context.mkdir(parents=True, exist_ok=True)
        (context / "Dockerfile").write_text(f"FROM python:3.11-slim\n{dockerfile}")
        (context / "main.py").write_text(textwrap.dedent(script))
        for file, text in files.items():
            (context / f"{file}.py").write_text(textwrap.dedent(text))
        objects.write(bucket_of(CALL.account, CALL.region), key_of(name, "v1"), packed(context))
        return f"{CALL.account}.dkr.ecr.{CALL.region}.amazonaws.com/{name}:v1"

    def wait(done, seconds=40):
        end = time.monotonic() + seconds
        while not (found := done()):
            assert time.monotonic() < end, "it did not come to an end"
            time.sleep(0.02)
        return found

    def finished(kind, name):
        describe = getattr(sagemaker, f"describe_{kind.lower()}_job")
        get = lambda: describe(CALL, {f"{kind}JobName": name})  # noqa: E731
        return wait(lambda: get() if get()[f"{kind}JobStatus"] in FINAL else None)

    def log(group):
        return {
            stream: "\n".join(lines)
            for (found, stream), lines in home.logs.items()
            if found == f"/aws/sagemaker/{group}"
        }

    def keys(prefix=""):
        return [item.key for item in objects.list("data", prefix)]

    return SimpleNamespace(
        call=CALL, role=ROLE, home=home, sagemaker=sagemaker, objects=objects, put=put, image=image, wait=wait,
        finished=finished, log=log, keys=keys, read=lambda key: objects.read("data", key).decode(),
    )  # fmt: skip
