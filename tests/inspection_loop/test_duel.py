"""Champion against challenger: the decision by hand-made answers, and the pointer over the API's own table."""

import dataclasses
import datetime as dt
import io
import itertools
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from sextant.inspection import detector, manifest, photograph
from sextant.inspection.api.errors import ApiError
from sextant.inspection.api.services import Place, Services
from sextant.inspection.api.store import Put
from sextant.inspection.loop import champion, duel, shift
from sextant.inspection.loop.champion import NoModelError, NotHostedError
from sextant.inspection.loop.duel import FEWEST, Answer, Duel, decide, duels

LABELS = [False] * 20 + [True] * 20


def answers(missed=(), rejected=(), lift=0.0):
    """Answers that are right but for some anomalies that are missed and some normal items that are rejected."""
    told = []
    for at, label in enumerate(LABELS):
        wrong = (at - 20 in missed) if label else (at in rejected)
        anomalous = label != wrong
        told.append(Answer(is_anomalous=anomalous, probability=0.5 + (0.3 + lift if anomalous else -0.3 - lift)))
    return told


def _ordered_worse():
    """One missed anomaly as in `answers(missed=[1])`, but below every normal item."""
    told = answers(missed=[1])
    told[21] = told[21].model_copy(update={"probability": 0.1})
    return told


@pytest.mark.parametrize(
    ("old", "new", "decision", "words"),
    [
        (
            answers(missed=[1, 2]),
            answers(missed=[1]),
            "promote",
            "It makes 1 error fewer on 40 photographs, and no more",
        ),
        (answers(rejected=[3, 4]), answers(), "promote", "It makes 2 errors fewer on 40 photographs, and no more"),
        (answers(), [*answers()[:-1], answers(lift=0.1)[-1]], "keep", "It is no better"),
        (_ordered_worse(), answers(missed=[1]), "promote", "orders the 40 photographs better"),
        (answers(missed=[1]), answers(missed=[1, 2]), "keep", "It is worse"),
        (answers(missed=[1, 2]), answers(rejected=[0]), "keep", "trades one kind of error"),
        (answers(), answers(), "keep", "It is no better"),
        (answers(missed=[1]), answers(missed=[2]), "keep", "It is no better"),
    ],
)
def test_a_challenger_takes_over_only_when_it_is_worse_in_nothing(old, new, decision, words):
    found = decide(LABELS, old, new)
    assert found["decision"] == decision
    assert words in found["words"]
    assert (found["normals"], found["anomalies"]) == (20, 20)


@pytest.mark.parametrize(("wins", "chance"), [(0, False), (1, True), (5, True), (6, False)])
def test_a_difference_that_may_be_chance_is_told_so(wins, chance):
    """McNemar's p of five photographs to none is 0.06, of six 0.03."""
    found = decide(LABELS, answers(rejected=range(wins)), answers())
    assert ("such a difference may well be chance" in found["words"]) == chance


def test_the_counts_are_those_of_the_answers():
    found = decide(LABELS, answers(missed=[0, 1], rejected=[5]), answers(missed=[1]))
    assert found["missed"] == (2, 1)
    assert found["false_rejects"] == (1, 0)
    assert (found["wins"], found["losses"]) == (2, 0)
    assert found["p"] == pytest.approx(0.5)
    assert "of 20 anomalies it misses 1 (before: 2), of 20 normal items it rejects 0 (before: 1)" in found["words"]


@pytest.mark.parametrize("labels", [[False] * 40, [True] * 40, [False] * 30 + [True] * (FEWEST - 1), []])
def test_on_too_few_photographs_nothing_is_promoted(labels):
    bad = [Answer(is_anomalous=not label, probability=0.5) for label in labels]
    good = [Answer(is_anomalous=label, probability=float(label)) for label in labels]
    found = decide(labels, bad, good)
    assert found["decision"] == "keep"
    assert f"at least {FEWEST} of each are needed" in found["words"]


class Hosting:
    """A backend whose endpoints come up when they are told to."""

    def __init__(self):
        self.ready = set()

    def start(self, version, _units):
        self.ready.add(version.number)
        return "STARTING_HOSTING"

    def stop(self, version):
        self.ready.discard(version.number)
        return "TRAINED"

    def state(self, version, _state):
        return ("HOSTED" if version.number in self.ready else "TRAINED"), ""

    settle = state


@pytest.fixture
def services(table):
    place = Place(
        TABLE="table",
        BUCKET="data",
        ACCOUNT_ID="111111111111",
        AWS_REGION="eu-west-1",
        INGEST_FUNCTION="none",
        PACKAGING_FUNCTION="none",
        PREFIX="test",
        IMAGE="image",
        ROLE_ARN="role",
        TRAINING_INSTANCE_TYPE="ml.m5.large",
        METRICS="Sextant/test/LookoutVision",
    )
    clock = itertools.count(1_700_000_000)
    made = Services(
        place=place, table=table, s3=None, sagemaker=None, later=None, backend=Hosting(), now=lambda: float(next(clock))
    )
    table.put_all([(("PROJECT#bracket", "PROJECT"), {"name": "bracket"}), (("PROJECTS", "bracket"), {"created": 1})])
    for number in (1, 2, 3):
        item = {"number": number, "status": "TRAINED", "message": "", "created": 1.5 + number, "units": 1}
        table.put_all([(("PROJECT#bracket", f"MODEL#{number:06d}"), item)])
    return made


def status(services, number):
    return services.table.get(("PROJECT#bracket", f"MODEL#{number:06d}"))["status"]


def host(services, number):
    champion._start(services, "bracket", number, 1)
    champion.models.settled(services, "bracket", str(number))


def test_nothing_answers_before_a_model_is_hosted(services):
    with pytest.raises(NoModelError) as told:
        champion.answering(services, "bracket")
    assert not told.value.missing
    with pytest.raises(NoModelError) as told:
        champion.answering(services, "braket")
    assert told.value.missing


def test_without_a_pointer_the_newest_hosted_version_answers(services):
    host(services, 1)
    assert champion.answering(services, "bracket")[0].number == 1
    host(services, 2)
    assert champion.answering(services, "bracket")[0].number == 2


def test_the_version_before_answers_until_the_champion_is_hosted_and_is_then_stopped(services):
    champion.point(services, "bracket", 1, "first", "the first")
    host(services, 1)
    slow = dataclasses.replace(services, backend=_Slow(services.backend))

    moved = champion.point(slow, "bracket", 2, "ada", "it is better")

    assert (moved.version, moved.before) == (2, 1)
    assert champion.answering(slow, "bracket")[0].number == 1, "version 2 is not hosted yet"
    assert champion.tidy(slow, "bracket") == []
    assert champion.answering(services, "bracket")[0].number == 2
    assert champion.tidy(services, "bracket") == ["1"]
    assert (status(services, 1), status(services, 2)) == ("TRAINED", "HOSTED")
    host(services, 1)
    assert champion.tidy(services, "bracket") == [], "whoever starts it again by hand wants it"


class _Slow:
    """Hosting that is still on its way."""

    def __init__(self, backend):
        self._backend = backend

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def state(self, _version, state):
        return state, ""

    settle = state


def test_a_champion_is_promoted_without_hosting_where_nothing_runs(services):
    champion.point(services, "bracket", 1, "first", "the first")
    champion.point(services, "bracket", 2, "ada", "better")
    assert (status(services, 1), status(services, 2)) == ("TRAINED", "TRAINED")


def test_rolling_back_is_the_pointer_and_can_be_undone(services):
    champion.point(services, "bracket", 1, "first", "the first")
    with pytest.raises(ApiError, match="nothing to go back to"):
        champion.roll_back(services, "bracket", "ada")
    champion.point(services, "bracket", 2, "ada", "better")
    assert champion.roll_back(services, "bracket", "ada").version == 1
    assert champion.roll_back(services, "bracket", "ada").version == 2


def test_the_same_promotion_again_changes_nothing(services):
    champion.point(services, "bracket", 1, "first", "the first")
    champion.point(services, "bracket", 2, "ada", "better")
    assert champion.point(services, "bracket", 2, "ada", "better").before == 1


def test_a_version_that_failed_cannot_answer(services):
    services.table.put_all(
        [
            (
                ("PROJECT#bracket", "MODEL#000004"),
                {"number": 4, "status": "TRAINING_FAILED", "message": "", "created": 2.5},
            )
        ]
    )
    with pytest.raises(ApiError, match="only a trained one can answer"):
        champion.point(services, "bracket", 4, "ada", "")


class _Refusing(_Slow):
    """Hosting that SageMaker refuses."""

    def start(self, _version, _units):
        raise ClientError({"Error": {"Code": "ServiceUnavailable", "Message": "try later"}}, "CreateEndpoint")


def with_backend(services, kind):
    return dataclasses.replace(services, backend=kind(services.backend))


def test_a_start_that_was_refused_is_tried_again_and_then_told(services):
    champion.point(services, "bracket", 1, "first", "the first")
    host(services, 1)
    refusing = with_backend(services, _Refusing)
    for _ in range(2):  # whoever tried it again is told the same, and not that all is well
        with pytest.raises(ApiError, match="ServiceUnavailable"):
            champion.point(refusing, "bracket", 2, "ada", "it is better")
    assert champion.champion(services, "bracket").version == 2
    assert status(services, 2) == "HOSTING_FAILED"
    with pytest.raises(ApiError, match="ServiceUnavailable"):
        champion.tidy(refusing, "bracket")

    slow = with_backend(services, _Slow)
    assert champion.tidy(slow, "bracket") == []
    assert status(services, 2) == "STARTING_HOSTING", "upkeep has started it"
    assert champion.answering(slow, "bracket")[0].number == 1
    late = dataclasses.replace(slow, now=lambda: 1_700_000_000.0 + 3600)
    with pytest.raises(NotHostedError, match=r"Version 2 of project bracket .* STARTING_HOSTING"):
        champion.tidy(late, "bracket")
    assert champion.tidy(services, "bracket") == ["1"]


def test_a_version_that_is_passed_over_before_it_is_hosted_is_stopped_with_the_one_that_answered(services):
    champion.point(services, "bracket", 1, "first", "the first")
    host(services, 1)
    slow = with_backend(services, _Slow)
    champion.point(slow, "bracket", 2, "ada", "better")
    moved = champion.point(slow, "bracket", 3, "ada", "better still")

    assert (moved.before, moved.passed) == (1, (2,))
    assert champion.answering(slow, "bracket")[0].number == 1, "the line goes on"
    assert sorted(champion.tidy(services, "bracket")) == ["1", "2"]
    assert services.backend.ready == {3}, "nobody pays for three"
    assert champion.champion(services, "bracket").passed == ()


def test_a_promotion_that_is_taken_back_before_it_is_hosted_leaves_nothing_running(services):
    champion.point(services, "bracket", 1, "first", "the first")
    host(services, 1)
    champion.point(with_backend(services, _Slow), "bracket", 2, "ada", "better")
    champion.roll_back(with_backend(services, _Slow), "bracket", "ada")
    assert champion.tidy(services, "bracket") == ["2"]
    assert services.backend.ready == {1}


def test_of_two_who_move_the_pointer_at_once_the_second_is_told(services, monkeypatch):
    champion.point(services, "bracket", 1, "first", "the first")
    read = champion.champion

    def overtaken(*asked):
        found = read(*asked)
        monkeypatch.setattr(champion, "champion", read)
        champion.point(services, "bracket", 3, "comparison", "it is better")
        return found

    monkeypatch.setattr(champion, "champion", overtaken)
    with pytest.raises(ApiError, match="just been made the champion"):
        champion.point(services, "bracket", 2, "comparison", "it was better than 1")
    pointer = champion.champion(services, "bracket")
    assert (pointer.version, pointer.before) == (3, 1)


def test_whoever_looks_at_photographs_changes_nothing(services):
    champion.point(services, "bracket", 1, "first", "the first")
    champion._start(services, "bracket", 1, 1)
    assert champion.answering(services, "bracket")[0].number == 1
    assert status(services, 1) == "STARTING_HOSTING", "its state is kept by others"


class Archives:
    """S3 with what a comparison reads."""

    def __init__(self, objects):
        self.objects = objects

    def get_object(self, Key, **_):  # noqa: N803 - boto3's
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey", "Message": ""}}, "GetObject")
        return {"Body": io.BytesIO(self.objects[Key])}

    def put_object(self, Key, Body, **_):  # noqa: N803 - boto3's
        self.objects[Key] = Body


def lines(names):
    at = dt.datetime(2026, 11, 21, tzinfo=dt.UTC)
    told = [manifest.line_of(f"s3://data/{name}", "anomaly" if name[0] == "a" else "normal", at) for name in names]
    return "\n".join(told).encode()


@pytest.fixture
def compared(services, monkeypatch):
    """Versions 1 and 2 whose "detectors" are their names, and photographs which are theirs: 2 is right on all; 1 misses
    one of the test photographs; what was trained on neither has ever seen as it is.
    """
    tested = [f"{kind}{number}" for kind in "an" for number in range(FEWEST)]
    known = ["a100", "n100", "a200", "n200"]
    objects = {name: name.encode() for name in [*tested, *known]}
    objects["projects/bracket/frozen-test.manifest"] = lines([*tested, *known])
    for version in (1, 2, 3):
        root = f"projects/bracket/models/{version}"
        objects[f"{root}/train.manifest"] = lines([f"a{version}00", f"n{version}00"])
        objects[f"{root}/model.tar.gz"] = str(version).encode()
    looked = []

    def detect(model, pixels):
        looked.append((model, pixels))
        anomalous = pixels[0] == "a" and (model, pixels) != ("1", "a0")
        return SimpleNamespace(is_anomalous=anomalous, probability=0.9 if anomalous else 0.1)

    monkeypatch.setattr(photograph, "read", bytes.decode)
    monkeypatch.setattr(detector, "detect", detect)
    made = dataclasses.replace(services, s3=Archives(objects))
    champion.point(made, "bracket", 1, "first", "the first")
    return SimpleNamespace(services=made, looked=looked, tested=tested)


def judged(compared, challenger=2, **changes):
    return duel.judge(compared.services, bytes.decode, "bracket", challenger, **{"automatic": True, **changes})


def test_a_comparison_leaves_out_whatever_either_was_trained_on(compared):
    found = judged(compared)
    assert {name for _, name in compared.looked} == set(compared.tested)
    assert (found.normals, found.anomalies, found.left_out) == (FEWEST, FEWEST, 4)
    assert (found.decision, found.promoted, found.missed) == ("promote", True, (1, 0))


def test_a_promotion_whose_event_comes_twice_keeps_its_record(compared):
    first = judged(compared)
    assert judged(compared) == first
    assert list(duels(compared.services, "bracket")) == [first]
    assert len(compared.looked) == 2 * 2 * FEWEST


def test_a_promotion_that_dies_before_its_record_is_written_gets_it_afterwards(compared, monkeypatch):
    commit = type(compared.services.table).commit

    def dies(table, *actions):
        if any("DUEL#" in each.key[1] for each in actions):
            raise ClientError({"Error": {"Code": "InternalServerError", "Message": ""}}, "TransactWriteItems")
        return commit(table, *actions)

    with monkeypatch.context() as patched:
        patched.setattr(type(compared.services.table), "commit", dies)
        with pytest.raises(ClientError):
            judged(compared)
    assert champion.champion(compared.services, "bracket").version == 2
    found = judged(compared)
    assert (found.champion, found.promoted) == (1, True)
    assert "of 10 anomalies it misses 0 (before: 1)" in found.words
    assert "first model" not in found.words


@pytest.mark.parametrize("recorded", [True, False])
def test_a_version_that_was_rolled_back_does_not_come_back_by_itself(compared, recorded):
    """Nor where its event comes again, or its record is not there because the run died before it was written."""
    judged(compared)
    champion.roll_back(compared.services, "bracket", "ada")
    if not recorded:
        compared.services.table.remove_all([("PROJECT#bracket", "DUEL#000002")])

    again = judged(compared)

    pointer = champion.champion(compared.services, "bracket")
    assert (pointer.version, pointer.by, pointer.rolled_back) == (1, "ada", (2,))
    assert "version 2, which does not come back by itself; the next version is compared with this one" in pointer.reason
    assert recorded or again.decision == "keep"

    third = judged(compared, 3)
    assert (third.champion, third.promoted) == (1, True), "compared with the one that the person chose"
    assert champion.champion(compared.services, "bracket").rolled_back == (2,)
    assert champion.point(compared.services, "bracket", 2, "ada", "after all").rolled_back == ()


def test_a_comparison_that_a_person_overtakes_promotes_nothing(compared, monkeypatch):
    """It was better than the champion that it saw, which is not the one that a person has chosen meanwhile."""
    champion.point(compared.services, "bracket", 3, "ada", "another")
    compare = duel._compared

    def overtaken(*asked):
        found = compare(*asked)
        champion.roll_back(compared.services, "bracket", "ada")
        return found.model_copy(update={"decision": "promote"})

    with monkeypatch.context() as patched:
        patched.setattr(duel, "_compared", overtaken)
        with pytest.raises(ApiError, match="just been made the champion"):
            judged(compared)
    assert champion.champion(compared.services, "bracket").version == 1
    assert judged(compared).champion == 1, "the next attempt compares with that one"


def test_a_better_one_that_waits_for_a_person_is_not_compared_again(compared):
    first = judged(compared, automatic=False)
    assert (first.decision, first.promoted) == ("promote", False)
    champion.point(compared.services, "bracket", 3, "ada", "another")
    assert judged(compared, automatic=False) == first


def test_without_a_champion_a_version_is_the_first(services):
    found = duel.judge(services, bytes.decode, "bracket", 1, automatic=False)
    assert (found.champion, found.promoted) == (None, True)
    assert champion.champion(services, "bracket").by == "first"
    assert duel.judge(services, bytes.decode, "bracket", 1, automatic=False) == found


def test_a_shift_hosts_the_champion_and_its_end_stops_all(services):
    champion.point(services, "bracket", 1, "first", "the first")
    assert shift.begin(services, "bracket", 1) == "STARTING_HOSTING"
    assert champion.answering(services, "bracket")[0].number == 1
    assert shift.begin(services, "bracket", 1) == "HOSTED"
    assert shift.end(services, "bracket") == ["1"]
    assert shift.end(services, "bracket") == []
    assert services.backend.ready == set(), "nothing runs that costs"


def test_a_shift_without_a_champion_hosts_the_newest_trained_version(services):
    shift.begin(services, "bracket", 1)
    assert services.backend.ready == {3}


def test_a_duel_without_a_champion_is_read_again(services):
    told = Duel(project="lego", challenger=1, decision="promote", words="It is the first.", at="2026-11-21T12:00:00Z")
    services.table.commit(Put(("PROJECT#lego", "DUEL#000001"), told.model_dump(exclude_none=True), absent=False))
    assert list(duels(services, "lego")) == [told]
