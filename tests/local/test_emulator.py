"""Start, stop, kill and restart of the embedded AWS, each on a state folder of its own."""

import contextlib
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pytest

from localaws import deploy, emulator
from localaws.emulator import EmulatorError


def client(running, service, account=emulator.ACCOUNT):
    return boto3.client(
        service,
        endpoint_url=running.endpoint,
        aws_access_key_id=account,
        aws_secret_access_key="local",
        region_name=emulator.REGION,
    )


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "state folder"  # a space, as in many a home folder
    yield folder
    emulator.stop(folder)


def start(state):
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        ports = one.getsockname()[1], two.getsockname()[1]
    return emulator.start(state, port=ports[0], console_port=ports[1])


def kill(running):
    os.killpg(running.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while emulator.running(running.state) and time.monotonic() < deadline:
        time.sleep(0.05)


def test_a_state_folder_keeps_one_environment(state):
    emulator.claim(state, "dev")
    emulator.claim(state, "dev")
    with pytest.raises(EmulatorError, match=r"holds the environment 'dev', not 'local'.*--delete --state"):
        emulator.claim(state, "local")
    emulator.delete(state)
    emulator.claim(state, "local")


def test_up_refuses_the_state_of_another_environment(state):
    from typer.testing import CliRunner

    from localaws.cli import app

    emulator.claim(state, "dev")
    result = CliRunner().invoke(app, ["up", "--state", str(state)])
    assert result.exit_code == 1
    assert "holds the environment 'dev'" in result.output
    assert emulator.running(state) is None, "nothing was started"


@pytest.mark.parametrize(
    ("given", "upper", "lower"),
    [
        ({}, "127.0.0.1,localhost", "127.0.0.1,localhost"),
        ({"no_proxy": "corp.example"}, "corp.example,127.0.0.1,localhost", "corp.example,127.0.0.1,localhost"),
        ({"NO_PROXY": "a, b", "no_proxy": "localhost"}, "a,b,127.0.0.1,localhost", "localhost,127.0.0.1"),
        ({"NO_PROXY": "*"}, "*", "*"),
    ],
)
def test_what_needs_no_proxy_is_added_to_what_the_caller_excepts(given, upper, lower, monkeypatch):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert emulator.unproxied() == {"NO_PROXY": upper, "no_proxy": lower}
    for name, value in emulator.unproxied().items():
        monkeypatch.setenv(name, value)
    assert emulator.unproxied() == {"NO_PROXY": upper, "no_proxy": lower}, "once more adds nothing"


def test_a_proxy_of_the_environment_has_no_part_in_it(state, monkeypatch):
    """As on company machines: some read the lower case only, where it is set."""
    with socket.socket() as nobody:  # bound, not listening
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        monkeypatch.setenv("no_proxy", "corp.example")
        running = start(state)
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        assert boto3.client("s3").list_buckets()["Buckets"] == []
    theirs = Path(f"/proc/{running.pid}/environ").read_bytes().split(b"\0")
    assert b"no_proxy=corp.example,127.0.0.1,localhost" in theirs, "its functions call it, too"


def test_starting_twice_gives_the_same_emulator(state):
    first = start(state)

    assert emulator.start(state) == first
    assert emulator.running(state) == first


def test_two_that_start_it_at_once_get_the_same_emulator(state):
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: emulator.start(state), range(2))

    assert first == second
    assert emulator.running(state) == first


def test_it_listens_on_loopback_only(state):
    running = start(state)

    # Linux's table of sockets: local address as hex "7F000001" (bytes reversed) and port, state 0A = listening.
    table = Path("/proc/net/tcp").read_text().splitlines()[1:]
    listening = [line.split()[1] for line in table if line.split()[3] == "0A"]
    ours = [address for address in listening if int(address.split(":")[1], 16) in (running.port, running.console_port)]

    assert len(ours) == 2
    assert all(address.startswith("0100007F:") for address in ours)


def test_a_port_in_use_is_said_plainly(state):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(EmulatorError, match=rf"Port {port} on 127.0.0.1 is in use.*another --port"):
            emulator.start(state, port=port)


def test_a_taken_default_port_is_stepped_round(state, monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setattr(emulator, "DEFAULT_PORT", other.getsockname()[1])
        running = emulator.start(state)

        assert running.port != emulator.DEFAULT_PORT


def test_a_full_disk_is_said_plainly(state, monkeypatch):
    monkeypatch.setattr(emulator, "MINIMUM_FREE_BYTES", 2**62)

    with pytest.raises(EmulatorError, match="MB are free"):
        emulator.start(state)


def test_a_state_folder_that_cannot_be_written_is_said_plainly(tmp_path):
    (tmp_path / "file").write_text("not a folder")

    with pytest.raises(EmulatorError, match="Cannot keep state in"):
        emulator.start(tmp_path / "file" / "state")


def test_an_emulator_that_dies_at_start_shows_its_last_words(state, monkeypatch):
    monkeypatch.setenv("SEXTANT_LAMBDA_SLOTS", "not a number")

    with pytest.raises(EmulatorError, match="ended while it started") as caught:
        emulator.start(state)

    assert "not a number" in str(caught.value)
    assert "emulator.log" in str(caught.value)


def test_a_clean_stop_keeps_everything(state):
    running = start(state)
    client(running, "s3").create_bucket(Bucket="kept")
    client(running, "s3").put_object(Bucket="kept", Key="a/b", Body=b"body", Metadata={"m": "1"})
    client(running, "ssm").put_parameter(Name="p", Value="v", Type="String")
    client(running, "athena").create_work_group(Name="wg")
    client(running, "glue").create_database(DatabaseInput={"Name": "db"})

    assert emulator.stop(state)
    assert emulator.running(state) is None
    again = start(state)

    found = client(again, "s3").get_object(Bucket="kept", Key="a/b")
    assert (found["Body"].read(), found["Metadata"]) == (b"body", {"m": "1"})
    assert client(again, "ssm").get_parameter(Name="p")["Parameter"]["Value"] == "v"
    assert client(again, "athena").get_work_group(WorkGroup="wg")["WorkGroup"]["Name"] == "wg"
    assert client(again, "glue").get_database(Name="db")["Database"]["Name"] == "db"


def test_a_kill_loses_no_object_and_no_engine_record(state):
    running = start(state)
    s3 = client(running, "s3")
    s3.create_bucket(Bucket="kept")
    client(running, "athena").create_work_group(Name="wg")
    for number in range(50):
        s3.put_object(Bucket="kept", Key=f"n/{number}", Body=str(number).encode())
    kill(running)  # at once: nothing had time for a snapshot
    (state / "tmp" / "unpacked by a function").mkdir()

    again = start(state)

    assert not (state / "tmp" / "unpacked by a function").exists()
    listed = client(again, "s3").list_objects_v2(Bucket="kept")["Contents"]
    assert len(listed) == 50
    assert client(again, "s3").get_object(Bucket="kept", Key="n/7")["Body"].read() == b"7"
    assert client(again, "athena").get_work_group(WorkGroup="wg")["WorkGroup"]["Name"] == "wg"


def test_a_kill_costs_other_services_at_most_what_came_after_the_last_snapshot(state, monkeypatch):
    monkeypatch.setenv("SEXTANT_SNAPSHOT_SECONDS", "0.3")
    running = start(state)
    client(running, "ssm").put_parameter(Name="before", Value="v", Type="String")
    snapshot = state / "services" / "ssm.json"
    deadline = time.monotonic() + 20
    while not (snapshot.is_file() and "before" in snapshot.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    kill(running)

    again = start(state)

    assert client(again, "ssm").get_parameter(Name="before")["Parameter"]["Value"] == "v"


def test_delete_leaves_nothing(state):
    start(state)

    emulator.delete(state)

    assert not state.exists()
    assert emulator.running(state) is None


def test_stopping_what_does_not_run_says_so(state):
    assert emulator.stop(state) is False


def test_a_hung_emulator_is_ended_before_another_starts_on_its_state(state):
    hung = start(state)
    os.kill(hung.pid, signal.SIGSTOP)  # alive, holds the folder, answers nothing

    again = start(state)

    assert again.pid != hung.pid
    with pytest.raises(ProcessLookupError):
        os.kill(hung.pid, 0)


def test_a_second_process_on_the_same_state_refuses_to_work(state):
    start(state)
    with pytest.raises(SystemExit, match="Another embedded AWS works on"):
        emulator.hold_state(state)


def test_a_stack_that_was_half_made_at_a_kill_is_made_by_the_next_deployment(state, cloud_assembly, monkeypatch):
    monkeypatch.setenv("SEXTANT_SNAPSHOT_SECONDS", "0.1")
    running = start(state)
    session = boto3.session.Session(
        aws_access_key_id=emulator.ACCOUNT, aws_secret_access_key="local", region_name="us-east-1"
    )

    def deployed():
        with pytest.MonkeyPatch.context() as patch:
            for name, value in emulator.running(state).environment().items():
                patch.setenv(name, value)
            return deploy.deploy(cloud_assembly, session)

    thread = threading.Thread(target=quietly, args=(deployed,))
    thread.start()
    snapshot = state / "services" / "cloudformation.json"
    deadline = time.monotonic() + 30
    while not (snapshot.is_file() and "CREATE_IN_PROGRESS" in snapshot.read_text()) and time.monotonic() < deadline:
        time.sleep(0.01)
    kill(running)
    thread.join(60)

    start(state)
    outputs = deployed()

    assert outputs["local-Labeling"]["WorkgroupName"] == "SMGTReportsWorkGroup"
    assert outputs["local-Console"]["UserPoolId"]


def quietly(action):
    with contextlib.suppress(Exception):  # the emulator is killed under it
        action()
