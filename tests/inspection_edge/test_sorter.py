"""Items on a belt in real time: order, identity, and that nothing passes which nobody accepted."""

import itertools
import sqlite3
import threading
import time
from contextlib import closing

import pytest

from sextant.inspection import photograph
from sextant.inspection.edge import records
from sextant.inspection.edge.devices import CameraError, Debounce
from sextant.inspection.edge.judging import Answer
from sextant.inspection.edge.records import Record, Store
from sextant.inspection.edge.running import running
from sextant.inspection.edge.settings import forwards
from sextant.inspection.edge.simulation import Product, apart, simulate
from sextant.inspection.edge.sorter import Item, Sorter
from tests.inspection_edge.stand import BEAM, PUSHER, SIMULATED, judge, products, settings, sorted_by, wait_for, written


def outcomes(done):
    return [(each.product.name, each.record.verdict, each.record.state, each.pushed) for each in done]


def pin(number):
    import gpiozero

    return gpiozero.Device.pin_factory.pin(number)


def item(seconds=0.02):
    """One item goes through the beam."""
    pin(BEAM).drive_low()
    time.sleep(seconds)
    pin(BEAM).drive_high()


@pytest.mark.parametrize("rate", [2, 5])
def test_each_item_goes_where_its_own_verdict_says_while_others_are_on_the_belt(tmp_path, model, rate):
    verdicts = ["accept", "reject", "accept", "review", "accept", "accept", "reject", "reject"]
    on_belt = []

    def watched(body):
        on_belt.append(body)
        return judge(body)

    model(watched)
    done = simulate(settings(tmp_path, belt={"travel_s": 0.9}), products(*verdicts), rate=rate)
    assert outcomes(done) == [
        (f"{at}", verdict, "passed" if verdict == "accept" else "pushed", verdict != "accept")
        for at, verdict in enumerate(verdicts, start=1)
    ]
    assert on_belt == [each.photograph for each in products(*verdicts)]
    assert [each.record.number for each in done] == list(range(1, 9))
    assert len({each.record.item for each in done}) == 8
    with closing(records.reader(tmp_path / SIMULATED)) as connection:
        assert records.latest(connection, 10) == [each.record for each in reversed(done)]
        kept = [records.photograph(connection, each.record.item) for each in done]
        assert records.totals(connection) == {
            "items": 8,
            "passed": 4,
            "pushed": 4,
            "verdict accept": 4,
            "verdict reject": 3,
            "verdict review": 1,
        }
    assert kept == [each.product.photograph for each in done]


def test_without_an_answer_an_item_is_pushed(tmp_path, model):
    def broken(body):
        if body.endswith(b"2"):
            raise RuntimeError("no memory")
        return judge(body)

    model(broken)
    done = simulate(settings(tmp_path), products("accept", "accept", "accept"), rate=3)
    assert [each.pushed for each in done] == [False, True, False]
    assert (done[1].record.verdict, done[1].record.reason) == ("inspect", "the model does not answer: no memory")


@pytest.mark.parametrize("cloud", [None, {"bucket": "lines"}, {"bucket": "lines", "endpoint": "https://api"}])
def test_a_simulation_touches_neither_the_lines_store_nor_its_bucket(tmp_path, cloud):
    asked = settings(tmp_path, cloud=cloud)
    found = apart(asked)
    assert (asked.store, found.store) == (tmp_path / "store.sqlite", tmp_path / SIMULATED)
    assert not forwards(found.cloud, "reject", 0.0)
    assert (found.cloud is not None) == bool(cloud and "endpoint" in cloud)  # who is asked is simulated, too


def test_a_simulation_is_not_counted_with_the_lines_items(tmp_path, model):
    model()
    asked = settings(tmp_path, cloud={"bucket": "lines"})
    (done,) = simulate(asked, products("reject"), rate=1)
    assert not asked.store.exists()
    assert done.record.forward == 0


def test_bytes_that_are_no_photograph_are_the_cameras_fault_and_one_line(tmp_path, model, caplog):
    def read(body):
        return photograph.read(body)

    model(read)
    done = simulate(settings(tmp_path), [Product("a", b"no JPEG", None)], rate=1)
    told = "the camera gave no photograph: not_an_image: 7 bytes that are neither JPEG nor PNG"
    assert outcomes(done) == [("a", "inspect", "pushed", True)]
    assert done[0].record.reason.startswith(told)
    (line,) = [each for each in caplog.records if each.levelname != "INFO"]
    assert told in line.getMessage()
    assert line.exc_info in {None, False}


def test_a_refusal_by_the_cloud_does_not_hide_that_the_photograph_is_none(sorter, tmp_path):
    read = threading.Event()

    def local(body):
        try:
            return photograph.read(body)
        finally:
            read.set()

    def refuses(_body):
        read.wait(60)
        time.sleep(0.1)
        raise RuntimeError("ValidationException")

    made = sorter(camera=lambda: b"no JPEG", local=local, cloud=refuses)
    made.seen(time.monotonic())
    sorted_by(made)
    with closing(records.reader(tmp_path / "store.sqlite")) as connection:
        (found,) = records.latest(connection, 5)
    assert found.reason.startswith("the camera gave no photograph: not_an_image")


def test_an_answer_that_comes_too_late_is_none(tmp_path, model):
    def slow(body):
        time.sleep(2.0 if body.endswith(b"1") else 0)
        return judge(body)

    model(slow)
    done = simulate(settings(tmp_path), products("accept"), rate=1)
    assert outcomes(done) == [("1", "inspect", "pushed", True)]
    assert done[0].record.reason == "no answer in time"


def test_a_model_that_is_too_slow_for_the_belt_still_judges_what_it_can(tmp_path, model):
    def slow(body):
        time.sleep(0.3)
        return judge(body)

    model(slow)
    done = simulate(settings(tmp_path, belt={"travel_s": 0.9}), products(*["accept"] * 18), rate=6)
    later = [each.record.verdict for each in done[9:]]  # the belt brings nearly twice as many as the model can judge
    assert later.count("accept") >= 2
    assert [each.pushed for each in done[9:] if each.record.verdict == "inspect"] == [True] * later.count("inspect")


def test_a_camera_that_fails_or_is_behind_never_judges_an_item_by_anothers_photograph(tmp_path, model):
    judged = []

    def seen(body):
        judged.append(body)
        return judge(body)

    model(seen)
    calls, begun, free = itertools.count(1), threading.Event(), threading.Event()

    def camera():
        number = next(calls)
        if number == 1:
            begun.set()
            free.wait(60)
        if number == 2:
            raise CameraError("the cable is loose")
        return b"accept"

    asked = settings(tmp_path, belt={"travel_s": 5.0}, camera={"within_s": 1.0})
    with running(asked, camera=camera) as found:
        item()
        begun.wait(60)
        time.sleep(0.1)  # two items do not touch
        item()
        time.sleep(1.1)  # while the first is photographed, the second waits too long
        free.set()
        item()
        sorted_by(found.sorter)
        assert found.told()["faults"] == []
    with closing(records.reader(tmp_path / "store.sqlite")) as connection:
        third, second, first = records.latest(connection, 5)
    assert (first.verdict, second.verdict, third.verdict) == ("accept", "inspect", "inspect")
    assert "the camera was busy" in second.reason
    assert third.reason == "no photograph: the cable is loose"
    assert judged == [b"accept"]
    assert (second.state, third.state) == ("pushed", "pushed")


def test_what_cannot_be_recorded_does_not_pass_and_is_recorded_when_there_is_room_again(tmp_path, model):
    model()
    asked = settings(tmp_path)
    with running(asked, camera=lambda: b"accept") as found:
        wait_for(lambda: len(pin(PUSHER).states) == 3)  # the belt is clear
        pages = found.store._connection.execute("PRAGMA page_count").fetchone()[0]
        found.store._connection.execute(f"PRAGMA max_page_count = {pages}")
        found.sorter._camera = lambda: b"accept " + bytes(1 << 16)
        item()
        wait_for(lambda: "full" in found.store.fault)
        assert found.told()["state"] == "fault"
        wait_for(lambda: len(pin(PUSHER).states) == 5)
        pushes = [bool(each.state) for each in pin(PUSHER).states]
        found.store._connection.execute("PRAGMA max_page_count = 1000000")
        item()
        sorted_by(found.sorter)
        assert found.told()["faults"] == []
    assert pushes == [False, True, False, True, False]  # while the belt clears, and once for the item
    with closing(records.reader(asked.store)) as connection:
        later, earlier = records.latest(connection, 5)
    assert (later.verdict, later.state) == ("accept", "passed")
    assert (earlier.verdict, earlier.state) == ("accept", "pushed")
    assert "not on the disk" in earlier.reason


def test_a_confidence_that_is_no_number_lets_nothing_pass(tmp_path, model):
    model(lambda _body: Answer("accept", "normal", float("nan"), "model"))
    done = simulate(settings(tmp_path), products("accept"), rate=1)
    assert outcomes(done) == [("1", "inspect", "pushed", True)]
    assert done[0].record.reason == "the model does not answer: the confidence nan is no probability"


def test_a_pusher_that_is_out_while_its_pin_is_low_is_out_without_the_sorter(tmp_path, model):
    """Low is what a pulled down wire is where nobody drives it: no power, or a process that was killed."""
    model()
    asked = settings(tmp_path, belt={"pusher_active_high": False})
    done = simulate(asked, products("reject", "accept"), rate=2)
    assert outcomes(done) == [("1", "reject", "pushed", True), ("2", "accept", "passed", False)]
    rests = pin(PUSHER)
    assert rests.function == "input"  # and so is a pin whose process is gone
    with running(asked, camera=lambda: b"accept 1"):
        wait_for(lambda: rests.function == "output" and not rests.state)  # everything is pushed at first
        wait_for(lambda: rests.state)


class Pins:
    """A pusher that keeps what it was told and when."""

    def __init__(self):
        self.told = []

    def on(self):
        self.told.append(("on", time.monotonic()))

    def off(self):
        self.told.append(("off", time.monotonic()))


@pytest.fixture
def sorter(tmp_path):
    """A sorter without a board, by the settings given."""
    made = []

    def make(*, cloud=None, local=judge, camera=lambda: b"accept 1", **more):
        store = Store((asked := settings(tmp_path, **more)).store, keep=asked.keep)
        made.append((Sorter(asked, store, camera=camera, pusher=Pins(), local=local, cloud=cloud), store))
        return made[-1][0]

    yield make
    for each, store in made:
        each.stop()
        store.close()


def test_everything_is_pushed_until_what_lay_on_the_belt_at_the_start_is_through(sorter):
    start = time.monotonic()
    made = sorter(belt={"travel_s": 0.4})
    wait_for(lambda: len(made._pusher.told) == 2)
    assert [what for what, _ in made._pusher.told] == ["on", "off"]
    assert made._pusher.told[1][1] - start >= 0.4


def test_an_item_that_the_pusher_missed_is_told_and_the_next_is_not_hit(sorter, tmp_path):
    made = sorter(camera=lambda: b"reject 1")
    wait_for(lambda: len(made._pusher.told) == 2)  # the belt is clear
    before = len(made._pusher.told)
    made.seen(time.monotonic() - 3.0)  # as if the machine had stood still: it was due 2 s ago
    sorted_by(made)
    assert len(made._pusher.told) == before
    assert made.missed == 1
    with closing(records.reader(tmp_path / "store.sqlite")) as connection:
        (found,) = records.latest(connection, 1)
    assert (found.verdict, found.state) == ("inspect", "missed")
    assert "s late" in found.reason


def test_an_answer_after_the_end_changes_nothing(sorter, tmp_path):
    """The pusher's thread stands still until the item is due, and the models answer when it is gone."""
    asked, still, gone = threading.Semaphore(0), threading.Event(), threading.Event()

    def late(body):
        asked.release()
        gone.wait(60)
        return judge(body)

    made = sorter(local=late, cloud=lambda _body: late(b"reject 1"), belt={"travel_s": 3.0})
    stands = threading.Event()
    made._pusher.off = lambda: (stands.set(), still.wait(60))  # as the first seconds end
    made._told = lambda _record: gone.set()
    time.sleep(1.0)  # so that they end before the item is due
    at = time.monotonic()
    made.seen(at)
    assert asked.acquire(timeout=60)
    assert asked.acquire(timeout=60)
    assert stands.wait(60)
    time.sleep(max(0.0, at + 3.05 - time.monotonic()))
    still.set()
    made.stop()
    written(made._store)
    with closing(records.reader(tmp_path / "store.sqlite")) as connection:
        (found,) = records.latest(connection, 5)
        totals = records.totals(connection)
    assert found.verdict == "inspect"
    assert found.state in {"pushed", "missed"}  # the latter where this machine stood still for long
    assert found.reason.startswith("no answer in time")
    assert totals == {"items": 1, found.state: 1, "verdict inspect": 1}


@pytest.mark.parametrize(("late", "state"), [(0.0, "pushed"), (2.0, "missed")])
def test_an_accepted_item_whose_record_came_to_the_disk_after_it_was_due_does_not_count_as_passed(sorter, late, state):
    made = sorter()
    wait_for(lambda: len(made._pusher.told) == 2)  # the belt is clear
    due = time.monotonic() - late
    told = []
    made._told = told.append
    item = Item(Record("a", 1, "", state="judged", verdict="accept"), due - 0.6, due, threading.Lock())
    item.kept = item.kept_photograph = made._store.write(item.record, b"accept 1")
    wait_for(item.kept.done)
    made._act(item, out=False)
    assert told[0].state == state


def test_an_item_that_comes_while_the_sorter_ends_is_sorted_or_not_seen(sorter, tmp_path):
    made = sorter(belt={"travel_s": 0.1, "settle_s": 0.01})
    time.sleep(0.2)
    stopping = threading.Thread(target=made.stop)
    write, at = made._store.write, []

    def slowly(record, *photograph):
        if not at:
            at.append(record)
            stopping.start()
            time.sleep(0.2)  # as if this thread were not let on
        return write(record, *photograph)

    made._store.write = slowly
    made.seen(time.monotonic())
    stopping.join()
    written(made._store)
    with closing(records.reader(tmp_path / "store.sqlite")) as connection:
        assert [each.state in records.ENDS for each in records.latest(connection, 5)] == [True]


def test_an_accepted_item_that_the_pusher_takes_along_is_told_as_pushed(sorter, tmp_path):
    pictures = iter([b"reject 1", b"accept 2", b"accept 3"])
    made = sorter(camera=lambda: next(pictures), belt={"pulse_s": 0.3})
    wait_for(lambda: len(made._pusher.told) == 2)  # the belt is clear
    for ago in (0.35, 0.25, 0.0):  # the second comes 0.1 s after the first
        made.seen(time.monotonic() - ago)
        time.sleep(0.05)
    sorted_by(made)
    with closing(records.reader(tmp_path / "store.sqlite")) as connection:
        found = [(each.verdict, each.state, each.reason) for each in reversed(records.latest(connection, 5))]
    assert found == [
        ("reject", "pushed", "seen as reject"),
        ("accept", "pushed", "seen as accept; pushed along with its neighbour"),
        ("accept", "passed", "seen as accept"),
    ]


def test_stopping_sorts_what_is_on_the_belt_and_sees_nothing_more(sorter, tmp_path):
    made = sorter(camera=lambda: b"reject 1")
    made.seen(time.monotonic())
    made.stop()
    made.seen(time.monotonic())
    written(made._store)
    with closing(records.reader(tmp_path / "store.sqlite")) as connection:
        (found,) = records.latest(connection, 5)
    assert found.state == "pushed"
    assert made._pusher.told[-1][0] == "off"


@pytest.mark.parametrize(
    ("cloud", "local", "decided"),
    [
        ("reject", "accept", "reject cloud"),
        ("down", "accept", "accept local"),
        ("slow", "accept", "accept local"),
        ("down", "none", "inspect "),
        ("slow", "none", "inspect "),
        ("accept", "none", "accept cloud"),
    ],
)
def test_the_cloud_is_asked_first_and_the_model_answers_where_it_does_not(sorter, tmp_path, cloud, local, decided):
    free = threading.Event()

    def asked(_body):
        if cloud == "down":
            raise TimeoutError("no route")
        if cloud == "slow":
            free.wait(60)
        return judge(cloud.encode() if cloud != "slow" else b"reject")

    made = sorter(cloud=asked, local=None if local == "none" else judge)
    wait_for(lambda: len(made._pusher.told) == 2)  # the belt is clear
    made.seen(time.monotonic())
    sorted_by(made)
    free.set()
    with closing(records.reader(tmp_path / "store.sqlite")) as connection:
        (found,) = records.latest(connection, 5)
    assert f"{found.verdict} {found.judged_by}" == decided
    assert found.state == ("passed" if found.verdict == "accept" else "pushed")
    if found.judged_by == "local":
        assert found.brightness == 100.0


@pytest.mark.parametrize(
    ("edges", "items"),
    [
        ([(0.0, 0.2)], 1),
        ([(0.0, 0.2), (0.21, 0.3)], 1),  # chatter as the item leaves
        ([(0.0, 0.001), (0.005, 0.01), (0.02, 0.3)], 1),  # chatter as it comes
        ([(0.0, 0.2), (0.25, 0.4)], 2),
        ([(0.0, 0.1), (0.12, 0.14), (0.16, 0.2), (0.24, 0.3)], 2),
    ],
)
def test_chatter_is_no_item(edges, items):
    debounce, seen = Debounce(0.03), 0
    for low, high in edges:
        seen += debounce.broken(low)
        debounce.whole(high)
    assert seen == items


def test_only_one_sorter_has_a_store(tmp_path):
    store = Store(tmp_path / "store.sqlite", keep=100)
    with pytest.raises(records.StoreError, match="used by another sorter"):
        Store(tmp_path / "store.sqlite", keep=100)
    store.close()
    (tmp_path / "store.sqlite").write_bytes(b"no database at all, but long enough to look at " * 20)
    with pytest.raises(records.StoreError, match="move it away"):
        Store(tmp_path / "store.sqlite", keep=100)


def test_old_items_are_forgotten_but_not_those_that_wait(tmp_path):
    store = Store(tmp_path / "store.sqlite", keep=100)
    for number in range(1, 301):
        forward = records.WAITING if number == 7 else 0
        store.write(records.Record(f"i{number}", number, "", state="passed", verdict="accept", forward=forward), b"x")
    store.close()
    with closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection:
        numbers = [each for (each,) in connection.execute("SELECT number FROM items ORDER BY number")]
        assert connection.execute("SELECT count(*) FROM photographs").fetchone() == (len(numbers),)
        assert records.totals(connection)["items"] == 300
    assert numbers == [7, *range(201, 301)]


def test_what_does_not_fit_costs_nothing_else_and_waits_for_no_forwarding(tmp_path):
    """The card has room for records and none for photographs; then there is some again."""
    store = Store(tmp_path / "store.sqlite", keep=100)
    body = bytes(1 << 20)
    store.write(Record("a", 1, "")).result()
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count = {pages + 8}")
    ended = {"state": "pushed", "verdict": "reject", "forward": records.WAITING}
    done = store.keep_photograph("a", body), store.write(Record("a", 1, "", **ended))
    assert "full" in str(done[0].exception())
    assert done[1].result() <= time.monotonic()
    store._connection.execute("PRAGMA max_page_count = 1000000")
    store.keep_photograph("b", body)
    store.write(Record("b", 2, "", **ended)).result()
    with closing(store.read()) as connection:
        assert [(each.item, each.state) for each in records.latest(connection, 5)] == [("b", "pushed"), ("a", "pushed")]
        assert [record.item for record, _ in records.waiting(connection, 5)] == ["b"]
        assert records.queued(connection) == 1
    store.close()


def test_a_photograph_that_did_not_fit_is_kept_when_there_is_room_at_the_end(sorter, tmp_path):
    made = sorter(camera=lambda: b"reject " + bytes(1 << 20), cloud=None)
    pages = made._store._connection.execute("PRAGMA page_count").fetchone()[0]
    made._store._connection.execute(f"PRAGMA max_page_count = {pages + 8}")
    made.seen(time.monotonic())
    wait_for(lambda: made._store.fault or made.on_belt == 0)
    made._store._connection.execute("PRAGMA max_page_count = 1000000")
    made.stop()
    written(made._store)
    with closing(records.reader(tmp_path / "store.sqlite")) as connection:
        (found,) = records.latest(connection, 5)
        assert found.state == "pushed"
        assert records.photograph(connection, found.item) == b"reject " + bytes(1 << 20)


def test_a_reason_that_is_no_text_ends_nothing(tmp_path):
    """A library's message may hold a file name in bytes of its own (`surrogateescape`)."""
    store = Store(tmp_path / "store.sqlite", keep=100)
    store.write(Record("a", 1, "", state="pushed", verdict="inspect", reason="no \udcff.jpg")).result()
    broken = store._later(lambda _: "\udcff".encode())  # whatever else a write may meet
    store.write(Record("b", 2, "")).result()
    assert isinstance(broken.exception(), UnicodeEncodeError)
    with closing(store.read()) as connection:
        assert [each.reason for each in records.latest(connection, 5)] == ["", "no ?.jpg"]
    assert store.alive
    store.close()
