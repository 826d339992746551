"""What is said of canaries and of faults, given what was seen and what the log says."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

import published_log
from roadworthy.base.errors import LedgerBroken
from roadworthy.domain.exchange import RungKind
from roadworthy.ledger.entry import Entry
from roadworthy.ledger.leaf import Leaf
from roadworthy.ledger.log import verify_log
from roadworthy.probes.fault.experiment import ExperimentResult, Observed, Outcome
from roadworthy.probes.fault.scenarios import SCENARIOS
from roadworthy.probes.rehearsal.canaries import PLAIN, Canary
from roadworthy.probes.rehearsal.faults import Trial, judge_trial
from roadworthy.probes.rehearsal.found import by_exchange, judge
from roadworthy.probes.rehearsal.published import copy_log, vkey_of
from roadworthy.probes.rehearsal.reply import Reply
from roadworthy.probes.rehearsal.requests import Request
from roadworthy.probes.rehearsal.tamper import tampers

AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
RECORD = "01a1ff5c-987a-7ea3-ac47-9c50a1513a84"
REQUEST = Request(route="/score", method="POST", path="/score", body=b"asked")
LADDER = (RungKind.CACHED, RungKind.ALTERNATE, RungKind.REFUSE)
BY_ID = {each.id: each for each in SCENARIOS}


def reply(status=200, body=b"answered", **headers):
    """An answer of a second's length."""
    found = {f"x-roadworthy-{name}": value for name, value in {"record": RECORD, **headers}.items()}
    return Reply(
        status=status, headers=found, body=body, asked_at=AT, ended_at=AT + timedelta(seconds=1), took_s=1.0, fault=""
    )


def canary(**more):
    """A plain one that was answered."""
    return replace(Canary(situation=PLAIN, request=REQUEST, reply=reply(), intent=True), **more)


def leaf(kind, *, subject="", at=AT, **facts):
    """An entry of the exchange."""
    base = Entry(
        kind=kind, at=at, actor="", use_case="u", subject=subject or RECORD, commitment="sha256:" + "0" * 64, size=0
    )
    return Leaf(version=2, base=base, facts={} if subject else {"id": RECORD, **facts})


INTENT = leaf("exchange.intent")
OUTCOME = leaf("exchange.outcome", status=200)


class Kept:
    """Payloads by the kind of their entry."""

    def __init__(self, **kinds):
        self.kinds = {"intent": b"asked", "outcome": b"answered", "part": b"", **kinds}

    def payload(self, _index, found):
        """As the reader of a ledger."""
        kept = self.kinds[found.base.kind.removeprefix("exchange.")]
        if isinstance(kept, Exception):
            raise kept
        return kept


def problems(found, leaves, kept=None):
    """What is wrong with a canary, in one text."""
    return "; ".join(judge(found, by_exchange(leaves), kept).problems)


def test_a_canary_that_is_recorded():
    """Intent before outcome, the status that was seen, the bytes that were sent and came."""
    assert problems(canary(), [INTENT, OUTCOME], Kept()) == ""
    assert judge(canary(), by_exchange([INTENT, OUTCOME]), None).skew_s == 0.0


@pytest.mark.parametrize(
    ("leaves", "words"),
    [
        ([], "0 outcomes"),
        ([INTENT, OUTCOME, OUTCOME], "2 outcomes"),
        ([OUTCOME], "0 intents"),
        ([INTENT, INTENT, OUTCOME], "2 intents"),
        ([OUTCOME, INTENT], "after its outcome"),
        ([INTENT, leaf("exchange.outcome", status=503)], "the log says 503"),
        ([INTENT, leaf("exchange.abandoned")], "0 outcomes"),
    ],
)
def test_canaries_that_are_not(leaves, words):
    """One thing wrong at a time."""
    assert words in problems(canary(), leaves, Kept())


def test_a_refusal_has_no_intent():
    """An intent before a refusal for the purpose would mean that somebody was asked."""
    refused = canary(intent=False)
    assert problems(refused, [OUTCOME], Kept()) == ""
    assert "not 0" in problems(refused, [INTENT, OUTCOME], Kept())


def test_an_answer_without_a_record():
    """It is what came around the gateway."""
    around = canary(reply=replace(reply(), headers={}))
    assert "names no record" in problems(around, [INTENT, OUTCOME])


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        (Kept(intent=b"another"), "of the request"),
        (Kept(outcome=b"another"), "of the answer"),
        (Kept(outcome=None), "keeps no payload"),
        (Kept(outcome=LedgerBroken("It does not open.", remedy="")), "does not open"),
    ],
)
def test_what_was_kept_must_be_what_was_seen(kept, words):
    """Byte for byte."""
    assert words in problems(canary(), [INTENT, OUTCOME], kept)


def test_a_stream_is_its_pieces_and_its_end():
    """In the order of the log."""
    leaves = [INTENT, leaf("exchange.part"), OUTCOME]
    assert problems(canary(), leaves, Kept(part=b"answ", outcome=b"ered")) == ""
    assert "of the answer" in problems(canary(), leaves, Kept(part=b"ered", outcome=b"answ"))


def test_a_decision_of_a_person_has_its_leaf():
    """Found by the id of the review."""
    decided = canary(review="review-1")
    assert "no leaf" in problems(decided, [INTENT, OUTCOME])
    assert problems(decided, [INTENT, OUTCOME, leaf("exchange.review", subject="review-1")]) == ""


@pytest.mark.parametrize(("off_s", "skew_s"), [(-3, 3.0), (4, 3.0), (0.5, 0.0)])
def test_the_skew_is_what_lies_outside_of_asking_and_answering(off_s, skew_s):
    """Before the question, after the answer, and between the two."""
    late = replace(OUTCOME, base=replace(OUTCOME.base, at=AT + timedelta(seconds=off_s)))
    assert judge(canary(), by_exchange([INTENT, late]), None).skew_s == skew_s


def trial(scenario="status-500", *, seen=None, others_asked=1, outcome=Outcome.CONFIRMED, recovered_s=0.1):
    """One experiment."""
    held = (Observed(name="the caller has an answer", ok=outcome is not Outcome.DEVIATED, saw="", after_s=0.1),)
    result = ExperimentResult(
        id=scenario,
        title="",
        outcome=outcome,
        began_at=AT,
        ended_at=AT,
        steady_before=(),
        method=(),
        observations=held,
        rollback=(),
        steady_after=(),
        recovered_s=recovered_s,
    )
    return Trial(scenario=BY_ID[scenario], result=result, reply=seen or reply(notice="n"), others_asked=others_asked)


def ended(rung, attempts="main:500:9,answers:no_match:0,second:200:9"):
    """The outcome as the log has it."""
    return leaf("exchange.outcome", status=200, rung=rung, attempts=attempts)


def test_a_fault_that_was_handled():
    """The cache had no answer and said so; the alternate had one, and the caller was told."""
    judged = judge_trial(trial(), [ended("alternate")], LADDER)
    assert (judged.problems, judged.told, judged.blocked) == ((), True, False)


@pytest.mark.parametrize(
    ("tried", "leaves", "words"),
    [
        (trial(), [], "0 outcomes"),
        (trial(), [ended("alternate"), ended("alternate")], "2 outcomes"),
        (trial(), [ended("primary")], "primary answered, not alternate"),
        (trial(), [ended("alternate", "main:500:9,second:200:9")], "alternate answered, not cached"),
        (trial(), [ended("refuse")], "refuse answered, not alternate"),
        (trial(seen=reply(503, notice="n")), [ended("alternate")], "the status is 503"),
        (trial(recovered_s=None), [ended("alternate")], "did not answer again"),
        (trial(outcome=Outcome.DEVIATED), [ended("alternate")], "not so"),
        (trial(outcome=Outcome.NOT_STEADY), [ended("alternate")], "not-steady"),
        (trial(seen=replace(reply(notice="n"), fault="torn")), [ended("alternate")], "torn"),
        (trial("slow-head"), [ended("alternate")], "alternate answered, not primary"),
        (trial(), [ended("alternate", "main:breaker_open:0,answers:no_match:0,second:200:9")], "circuit breaker"),
    ],
)
def test_faults_that_were_not(tried, leaves, words):
    """One thing wrong at a time."""
    assert words in "; ".join(judge_trial(tried, leaves, LADDER).problems)


def test_a_caller_who_was_not_told():
    """The answer itself may be right."""
    judged = judge_trial(trial(seen=reply()), [ended("alternate")], LADDER)
    assert (judged.problems, judged.told) == ((), False)


def test_a_stream_that_was_cut():
    """It ends with an error, and nobody else is asked."""
    left = [ended("primary", "main:200:9")]
    cut = trial("stall-stream", seen=reply(body=b'data: {"error": 1}\n\n'), others_asked=0)
    assert judge_trial(cut, left, LADDER).problems == ()
    assert judge_trial(cut, left, LADDER).told
    whole = trial("stall-stream", seen=reply(body=b"data: x\n\ndata: [DONE]\n\n"), others_asked=1)
    judged = judge_trial(whole, left, LADDER)
    assert "as if it were whole" in judged.problems[0]
    assert "after bytes had left" in judged.problems[1]
    assert not judged.told
    refused = trial("stall-stream", seen=reply(502, body=b'{"error": 1}'), others_asked=0)
    assert judge_trial(refused, left, LADDER).problems == ()


@pytest.mark.parametrize("number", [0, 1, 20_261_121])
@pytest.mark.parametrize("count", [3, 256, 300])
def test_every_way_to_tamper_is_found_in_a_sound_copy(tmp_path, count, number):
    """A way that changes nothing would never be found, and a copy that is broken always."""
    published_log.write_log(tmp_path / "log", published_log.entries(count))
    for name, tamper in tampers():
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        shutil.copytree(tmp_path / "log", tmp_path / "copy")
        assert verify_log(tmp_path / "copy", published_log.VKEY).holds
        tamper(tmp_path / "copy", number)
        assert not verify_log(tmp_path / "copy", published_log.VKEY).holds, name


def test_a_log_that_never_verifies_is_not_copied(tmp_path):
    """What is broken for good is said to be."""
    published_log.write_log(tmp_path / "log", published_log.entries(3))
    next(iter(tampers()))[1](tmp_path / "log", 1)
    with pytest.raises(LedgerBroken, match="No copy"):
        copy_log(tmp_path / "log", tmp_path / "copy", within_s=0.1)
    assert vkey_of(tmp_path / "log") == published_log.VKEY
