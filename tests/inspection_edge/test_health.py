"""The page on the device: what it says, and to whom."""

import datetime as dt
import http.client
import json
import os
import signal
import socket
import threading
import time

import gpiozero
import pytest

from sextant.inspection.edge import running as running_module
from sextant.inspection.edge.devices import BoardError, CameraError, board, camera
from sextant.inspection.edge.judging import Answer
from sextant.inspection.edge.running import running
from sextant.inspection.edge.settings import Camera, ConfigurationError
from tests.inspection_edge.stand import BEAM, settings, sorted_by, wait_for


def item(gap=0.1):
    beam = gpiozero.Device.pin_factory.pin(BEAM)
    beam.drive_low()
    time.sleep(0.02)
    beam.drive_high()
    time.sleep(gap)


def get(port, path, host="127.0.0.1"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Host": f"{host}:{port}"})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def test_the_page_tells_what_was_sorted_and_shows_its_pictures(tmp_path, model):
    model()
    with running(settings(tmp_path, belt={"travel_s": 3.0}), camera=lambda: b"\xff\xd8reject"[2:]) as found:
        assert json.loads(get(found.port, "/health.json")[1])["state"] == "clearing"
        wait_for(lambda: found.told()["state"] == "sorting")
        item()
        assert json.loads(get(found.port, "/health.json")[1])["on_belt"] == 1
        sorted_by(found.sorter)
        answer, body = get(found.port, "/health.json")
        told = json.loads(body)
        assert (answer.status, told["state"], told["faults"], told["on_belt"]) == (200, "sorting", [], 0)
        assert told["totals"] == {"items": 1, "pushed": 1, "verdict reject": 1}
        assert told["photographs"] == {"of": 1, "brightness": 100.0, "sharpness": 50.0, "product_found": 1.0}
        (latest,) = told["latest"]
        assert (latest["verdict"], latest["state"], latest["photograph"]) == ("reject", "pushed", True)
        picture, body = get(found.port, f"/pictures/{latest['item']}")
        assert (picture.status, body) == (200, b"reject")
        page, body = get(found.port, "/")
        assert page.status == 200
        assert b'<script type="module" src="/page.js">' in body
        policy = page.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'")
        assert "unsafe" not in policy
        assert get(found.port, "/page.js")[0].status == get(found.port, "/page.css")[0].status == 200
        assert get(found.port, "/pictures/none")[0].status == get(found.port, "/../etc/passwd")[0].status == 404
        assert get(found.port, "/health.json", host="sorter.example.com")[0].status == 403


def test_faults_are_told_with_what_to_do(tmp_path, model):
    def strange(_body):
        return Answer("review", "no whole product", 0.5, "m", brightness=3.0, sharpness=1.0, crop_ok=False)

    model(strange)
    works = [True]

    def take():
        if not works[0]:
            raise CameraError("the cable is loose")
        return b"x"

    asked = settings(tmp_path, belt={"blocked_s": 0.2, "travel_s": 1.5})
    with running(asked, camera=take) as found:
        for _ in range(3):
            item()
        sorted_by(found.sorter)
        (told,) = found.told()["faults"]
        assert told == "On 100% of the photographs no product is found: look at the camera."
        works[0] = False
        for _ in range(3):
            item()
            gpiozero.Device.pin_factory.pin(BEAM).drive_low()
        wait_for(lambda: len(found.told()["faults"]) == 3)
        answer, body = get(found.port, "/health.json")
        assert answer.status == 503
        beam, failing, _ = json.loads(body)["faults"]
        assert beam.startswith("The beam has been broken for")
        assert "photographs failed: the cable is loose" in failing


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("sh", "-c", "echo no camera >&2; exit 3"), "sh ended with 3: no camera"),
        (("true",), "true ended with 0: it wrote no photograph"),
        (("no-such-program",), "No such file"),
    ],
)
def test_a_program_that_takes_no_photograph_is_told(command, told):
    with camera(Camera(kind="command", command=command)) as take, pytest.raises(CameraError, match=told):
        take()


def test_an_item_that_stands_in_the_beam_at_the_start_is_seen(tmp_path):
    seen = []
    with board(settings(tmp_path).belt) as (beam, _):
        before = time.monotonic()
        gpiozero.Device.pin_factory.pin(BEAM).drive_low()
        beam.watch(seen.append)
        assert len(seen) == 1
        assert before <= seen[0] == beam.broken_since
        gpiozero.Device.pin_factory.pin(BEAM).drive_high()
        assert beam.broken_since is None


def test_an_item_counts_from_its_edge_and_not_from_when_a_busy_machine_calls(tmp_path):
    seen = []
    with board(settings(tmp_path).belt) as (beam, _):
        beam.watch(seen.append)
        pin = gpiozero.Device.pin_factory.pin(BEAM)
        for called_late in (0.4, 900.0):  # the second is a stamp of another clock
            pin._when_changed()(time.monotonic() - called_late, 0)
            now = time.monotonic()
            pin._when_changed()(now, 1)
            time.sleep(0.05)
            late = now - seen[-1]
            assert late == pytest.approx(0.4 if called_late == 0.4 else 0.0, abs=0.1)
    assert len(seen) == 2


def test_systemd_is_told_that_it_runs_and_that_it_still_does(tmp_path, model, monkeypatch):
    model()
    monkeypatch.setattr(running_module, "_TELL_S", 0.1)
    told = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))

        def listen():
            while len(told) < 3:
                told.append(channel.recv(100).decode())
            os.kill(os.getpid(), signal.SIGTERM)

        listener = threading.Thread(target=listen)
        before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
        listener.start()
        try:
            running_module.run(settings(tmp_path, camera={"kind": "command", "command": ["printf", "accept 1"]}))
        finally:
            for each, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
                signal.signal(each, handler)
            listener.join()
        assert told == ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_sorter_whose_pusher_is_gone_ends_so_that_it_is_started_again(tmp_path, model, monkeypatch):
    model()
    monkeypatch.setattr(running_module, "_TELL_S", 0.1)

    class Loose(gpiozero.DigitalOutputDevice):
        def off(self):
            raise OSError("no such chip")

    monkeypatch.setattr(gpiozero, "DigitalOutputDevice", Loose)
    before = [signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)]
    asked = settings(tmp_path, belt={"travel_s": 0.2}, camera={"kind": "command", "command": ["printf", "accept 1"]})
    try:
        with pytest.raises(running_module.EndedError, match="has ended"):
            running_module.run(asked)
    finally:
        for each, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
            signal.signal(each, handler)


def test_items_that_nobody_judges_are_a_fault(tmp_path, model):
    hanging = threading.Event()
    model()
    with running(settings(tmp_path, belt={"travel_s": 0.3}), camera=lambda: hanging.wait(90) and b"accept 1") as found:
        time.sleep(0.35)
        for _ in range(5):
            item()
        wait_for(lambda: found.told()["faults"])
        assert found.told()["faults"] == ["The last 5 items were not judged, and pushed: no answer in time."]
        hanging.set()


def test_a_missed_item_is_a_fault_for_ten_minutes_and_says_when_it_was(tmp_path, model):
    model()
    with running(settings(tmp_path, belt={"travel_s": 0.2}), camera=lambda: b"accept 1") as found:
        found.sorter.missed, found.sorter.missed_at = 2, time.monotonic() - 590
        at = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=590)
        (told,) = found.told()["faults"]
        assert told.startswith("2 items since the start were to be pushed and were not, the latest at ")
        assert told.endswith(" UTC: look for them.")
        named = dt.datetime.combine(at, dt.time.fromisoformat(told.split(" at ")[1][:8]), dt.UTC)
        assert abs((named - at).total_seconds()) % 86_400 < 5
        found.sorter.missed = 1
        assert found.told()["faults"][0].startswith("1 item since the start was to be pushed and was not, at ")
        found.sorter.missed_at -= 20
        assert found.told()["faults"] == []


def test_a_port_or_pin_that_is_taken_and_a_cloud_without_region_are_told(tmp_path, model, monkeypatch):
    model()
    take = {"camera": lambda: b"accept 1"}
    with running(settings(tmp_path), **take) as found:
        (tmp_path / "other").mkdir()
        other = settings(tmp_path / "other", belt={"beam_pin": 5, "pusher_pin": 6})
        with (
            pytest.raises(ConfigurationError, match=f"health_port {found.port} cannot be used"),
            running(other.model_copy(update={"health_port": found.port}), **take),
        ):
            pass
        with (
            pytest.raises(BoardError, match="the pins 17 and 27 cannot be used"),
            running(other.model_copy(update={"belt": found.sorter._belt}), **take),
        ):
            pass
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    for given in ({"endpoint": "http://127.0.0.1:9"}, {"endpoint": "not a url", "region": "eu-west-1"}):
        with pytest.raises(ConfigurationError, match=r"\[cloud\]: "), running(settings(tmp_path, cloud=given), **take):
            pass


def test_a_program_takes_photographs():
    with camera(Camera(kind="command", command=("printf", "picture"))) as take:
        assert take() == b"picture"


def test_without_the_cameras_library_the_remedy_is_told():
    with pytest.raises(CameraError, match="apt install python3-picamera2"), camera(Camera()):
        pass
