import asyncio
import json

import pytest
from gateway_rig import ALICE, FakeCite, FakeInspect, Reply, Rig, answer_of, until

from roadworthy.domain.exchange import RecordMode, RungKind, Verdict
from roadworthy.gateway import pipeline
from roadworthy.gateway.exchange import Attempt, Failure, Reason, Refused, UpstreamFailed
from roadworthy.gateway.ledger_client import LedgerRefused
from roadworthy.ledger.entry import commit


def run(story):
    return asyncio.run(story)


def test_the_order_is_intent_upstream_outcome_release():
    """Intent is durable before the upstream is asked, outcome before a byte leaves."""
    rig = Rig()
    reply = run(rig.chat())
    assert rig.events == ["exchange.intent", "upstream", "exchange.outcome", "released"]
    assert (reply.status, reply.body, reply.ended) == (200, b'{"choices":[]}', True)


def test_both_leaves_say_who_what_and_under_which_permission():
    """The members are those that the docstring of records names."""
    rig = Rig()
    reply = run(rig.chat(headers=[(b"x-data-scope", b"own")]))
    intent, outcome = rig.ledger.leaves
    assert intent["v"] == 2 and intent["use_case"] == "triage" and intent["subject"] == intent["id"]
    assert (intent["policy"], intent["release"], intent["admission"]) == (
        "sha256:policy",
        "sha256:release",
        "certificate:c-1",
    )
    assert (intent["purpose"], intent["scope"], intent["tier"], intent["model"]) == ("care", "own", "R2", "m-1")
    assert (intent["credential"], intent["cohort"], intent["trace"]) == ("key-1", "north", "a" * 32)
    assert ALICE.id not in json.dumps(rig.ledger.leaves) and intent["actor"] == rig.recorder.pseudonym("alice")
    assert (outcome["intent"], outcome["status"], outcome["reason"], outcome["rung"]) == (0, 200, "", "primary")
    assert outcome["attempts"] == "primary:200:1200" and outcome["released_bytes"] == len(reply.body)
    assert [leaf["wseq"] for leaf in rig.ledger.leaves] == [1, 2]
    assert reply.headers["x-roadworthy-record"] == outcome["id"] == intent["id"]
    assert reply.headers["x-roadworthy-index"] == "1"


def test_payloads_are_sealed_beside_their_leaves():
    """Question and answer can be opened with the key and the id, and fit the commitments."""
    rig = Rig()
    run(rig.chat())
    intent, outcome = rig.ledger.leaves
    assert json.loads(rig.ledger.payload(intent))["model"] == "m-1"
    assert rig.ledger.payload(outcome) == b'{"choices":[]}' and outcome["size"] == 14


def test_without_payloads_only_commitments_are_kept():
    """keep_payloads: false leaves nothing to open."""
    rig = Rig(keep_payloads=False)
    run(rig.chat())
    assert [sealed for _, sealed in rig.ledger.raw] == [b"", b""]
    assert rig.ledger.leaves[1]["commitment"] != commit(bytes(32), b'{"choices":[]}')


def test_bodies_and_unknown_headers_pass_byte_for_byte():
    """The upstream gets the caller's bytes, without credential, purpose, scope and hop-by-hop headers."""
    rig = Rig()
    body = b'{ "model":"m-1",  "future_field": [1.0, 2e5], "messages":[] }'
    extra = [
        (b"x-custom", b"1"),
        (b"connection", b"x-hop, close"),
        (b"x-hop", b"1"),
        (b"x-purpose", b"care"),
        (b"x-data-scope", b"own"),
        (b"x-roadworthy-record", b"forged"),
        (b"traceparent", b"old"),
        (b"accept-encoding", b"gzip"),
    ]
    run(rig.call("POST", "/v1/chat/completions?beta=1", body, headers=extra))
    question = rig.answerer.questions[0]
    assert question.body == body and question.target == b"/v1/chat/completions?beta=1" and question.method == b"POST"
    assert question.headers == [
        (b"x-custom", b"1"),
        (b"accept-encoding", b"gzip"),
        (b"traceparent", rig.trace.spans[0].header),
        (b"tracestate", b"vendor=1"),
    ]


def test_an_answers_headers_pass_but_nobody_speaks_for_us():
    """Hop-by-hop headers and forged records of the upstream are dropped, the length is counted again."""
    rig = Rig()
    forged = [
        (b"content-type", b"application/json"),
        (b"x-request-id", b"7"),
        (b"transfer-encoding", b"chunked"),
        (b"content-length", b"999"),
        (b"x-roadworthy-record", b"forged"),
    ]
    rig.answerer.reply = lambda _q: answer_of(b"{}", headers=forged)
    reply = run(rig.chat())
    names = [name for name, _ in reply.messages[0]["headers"]]
    assert names.count(b"x-roadworthy-record") == 1 and b"transfer-encoding" not in names
    assert reply.headers["content-length"] == "2" and reply.headers["x-request-id"] == "7"


def test_an_upstreams_error_is_an_answer():
    """A 400 of the AI system goes to the caller as it is, recorded."""
    rig = Rig()
    rig.answerer.reply = lambda _q: answer_of(b'{"error":{"message":"no"}}', status=400)
    reply = run(rig.chat())
    assert (reply.status, rig.ledger.leaves[1]["status"], rig.ledger.leaves[1]["reason"]) == (400, 400, "")


@pytest.mark.parametrize(("key", "path"), [(None, "/v1/chat/completions"), ("good", "/nowhere"), ("good", "/v1/x")])
def test_before_anybody_is_known_nothing_is_written(key, path):
    """401 and no_route are counted only: else anyone could fill the disk."""
    rig = Rig()
    reply = run(rig.call("POST", path, b"{}", key=key))
    assert reply.status in {401, 404} and rig.ledger.leaves == [] and rig.answerer.questions == []
    assert rig.meter.counted[0][2] == reply.status and "x-roadworthy-record" in reply.headers
    assert reply.headers["connection"] == "close"


def test_a_missing_credential_is_asked_for():
    """401 says how."""
    rig = Rig()
    reply = run(rig.chat(key=None))
    assert reply.headers["www-authenticate"] == "Bearer"
    assert (
        reply.json()["error"]["code"] == "unauthenticated" and reply.json()["error"]["type"] == "authentication_error"
    )


def _refused(rig, reply, status, reason):
    (leaf,) = rig.ledger.leaves
    assert (reply.status, leaf["kind"], leaf["reason"], leaf["status"], leaf["intent"]) == (
        status,
        "exchange.outcome",
        reason,
        status,
        -1,
    )
    assert rig.answerer.questions == [] and rig.events[-1] == "released"
    assert rig.ledger.payload(leaf) == reply.body
    assert rig.meter.in_flight == 0 and rig.meter.counted[-1][4] == reason


def test_a_switched_off_use_case_is_refused_and_recorded():
    """Step 4."""
    rig = Rig()
    rig.switches.off.add("triage")
    reply = run(rig.chat())
    _refused(rig, reply, 503, "switched_off")
    assert reply.headers["retry-after"] == "30"


def test_an_undeclared_purpose_is_refused_and_recorded():
    """Step 5: a purpose that the use case does not have."""
    rig = Rig()
    headers = [(b"x-purpose", b"Jane Doe, born 1970"), (b"x-data-scope", b"Jane's record")]
    _refused(rig, run(rig.chat(headers=headers)), 403, "forbidden")
    # A leaf is never erased, so what a caller makes up does not stand in it.
    assert (rig.ledger.leaves[0]["purpose"], rig.ledger.leaves[0]["scope"]) == ("undeclared", "undeclared")


def test_several_purposes_must_be_named():
    """Only a single purpose is meant without a name."""
    rig = Rig(purposes=frozenset({"care", "research"}))
    _refused(rig, run(rig.chat()), 403, "forbidden")
    assert (rig.ledger.leaves[0]["purpose"], rig.ledger.leaves[0]["scope"]) == ("", "")


def test_the_policy_refuses_and_it_is_recorded():
    """Step 5: the policy."""
    rig = Rig()
    _refused(rig, run(rig.chat(headers=[(b"x-data-scope", b"secret")])), 403, "forbidden")
    assert (rig.ledger.leaves[0]["purpose"], rig.ledger.leaves[0]["scope"]) == ("care", "undeclared")


def test_the_certificate_refuses_and_it_is_recorded():
    """Step 6; the release in force stands in the leaf all the same."""
    rig = Rig()
    rig.admit.refused = Refused(Reason.RATE_LIMITED, 429, "Too often.", retry_after_s=3)
    reply = run(rig.chat())
    _refused(rig, reply, 429, "rate_limited")
    assert reply.headers["retry-after"] == "3" and rig.ledger.leaves[0]["release"] == "sha256:release"


def test_quarantined_input_is_refused_where_nobody_reads_it():
    """Step 7 without a human rung."""
    rig = Rig(inspect=FakeInspect(Verdict.QUARANTINE, ("age.range", "unit")))
    reply = run(rig.call("POST", "/predict", b'{"age":900}'))
    _refused(rig, reply, 422, "quarantined")
    assert reply.headers["content-type"] == "application/problem+json" and reply.json()["title"] == "quarantined"
    assert (rig.ledger.leaves[0]["filter"], rig.ledger.leaves[0]["rules"]) == ("quarantine", "age.range,unit")


def test_quarantined_input_goes_to_a_person_where_there_is_one():
    """Step 7 with a human rung: the ladder's other rungs are not asked."""

    async def person(_question, _key):
        return answer_of(b'{"by":"a person"}', rung=RungKind.HUMAN, rung_name="nurses", notice="A nurse.", review="r-1")

    rig = Rig(inspect=FakeInspect(Verdict.QUARANTINE), human=person)
    reply = run(rig.call("POST", "/predict", b"{}"))
    assert reply.json() == {"by": "a person"} and rig.answerer.questions == []
    assert [leaf["kind"] for leaf in rig.ledger.leaves] == ["exchange.intent", "exchange.outcome"]
    assert (rig.ledger.leaves[1]["rung"], rig.ledger.leaves[1]["review"]) == ("human", "r-1")
    assert reply.headers["x-roadworthy-review"] == "r-1"


def test_flagged_input_passes_and_is_noted():
    """A flag is in the leaf, the answer is the AI system's."""
    rig = Rig(inspect=FakeInspect(Verdict.FLAG, ("unit",)))
    reply = run(rig.chat())
    assert reply.status == 200 and rig.ledger.leaves[0]["filter"] == "flag" and rig.ledger.leaves[0]["rules"] == "unit"


def test_another_rung_tells_the_caller():
    """Rung and notice are headers, in ASCII whatever their language."""
    rig = Rig()
    tries = [Attempt("primary", "status_5xx", 9), Attempt("backup", "200", 7, hedge=True)]
    rig.answerer.reply = lambda _q: answer_of(
        b"{}", rung=RungKind.ALTERNATE, rung_name="backup", notice="Réserve, 100 %", attempts=tries
    )
    reply = run(rig.chat())
    assert reply.headers["x-roadworthy-rung"] == "backup"
    assert reply.headers["x-roadworthy-notice"] == "R%C3%A9serve, 100 %25"
    assert rig.ledger.leaves[1]["attempts"] == "primary:status_5xx:9,backup:200:7:hedge"


def test_the_ladders_refusal_is_worded_in_the_callers_protocol():
    """The last rung's text reaches the caller as an OpenAI error, with the attempts in the leaf."""
    rig = Rig()
    rig.answerer.reply = lambda _q: answer_of(
        b"{}", status=503, rung=RungKind.REFUSE, notice="Ask a colleague.", headers=[(b"retry-after", b"9")]
    )
    reply = run(rig.chat())
    assert (reply.status, reply.json()["error"]["message"]) == (503, "Ask a colleague.")
    assert (reply.headers["retry-after"], reply.headers["x-roadworthy-rung"]) == ("9", "refuse")
    outcome = rig.ledger.leaves[1]
    assert (outcome["reason"], outcome["rung"], outcome["attempts"]) == (
        "fallback_exhausted",
        "refuse",
        "primary:200:1200",
    )


@pytest.mark.parametrize(("failure", "status"), [(Failure.CONNECT_REFUSED, 502), (Failure.TOTAL_TIMEOUT, 504)])
def test_a_failure_without_a_rung_is_an_outcome(failure, status):
    """Intent and one outcome with the reason."""
    rig = Rig()

    def fail(_question):
        raise UpstreamFailed(failure, sent=False)

    rig.answerer.reply = fail
    reply = run(rig.chat())
    assert reply.status == status and [leaf["kind"] for leaf in rig.ledger.leaves] == [
        "exchange.intent",
        "exchange.outcome",
    ]
    assert (rig.ledger.leaves[1]["reason"], rig.ledger.leaves[1]["attempts"]) == ("upstream_failed", failure.value)
    assert len(rig.app.sweeper) == 0


def test_denied_sources_are_redacted_before_the_outcome():
    """What is recorded is what leaves; the denied ids stand in the leaf."""
    rig = Rig(cite=FakeCite(), inspect=FakeInspect(Verdict.FLAG, ("unit",)))
    rig.answerer.reply = lambda _q: answer_of(b'{"sources":["secret-7"]}')
    reply = run(rig.chat(headers=[(b"accept-encoding", b"gzip")]))
    assert reply.body == b'{"sources":["redacted"]}' == rig.ledger.payload(rig.ledger.leaves[1])
    assert rig.ledger.leaves[1]["rules"] == "unit,cited:secret-7"
    assert not any(name == b"accept-encoding" for name, _ in rig.answerer.questions[0].headers)


def test_no_answer_leaves_while_the_ledger_is_down():
    """Fail closed before anybody is contacted, and say when to come back."""
    rig = Rig()
    rig.ledger.down = True
    reply = run(rig.chat())
    assert reply.status == 503 and reply.headers["retry-after"] == "1" and rig.answerer.questions == []
    assert reply.json()["error"]["code"] == "ledger_unavailable" and "x-roadworthy-index" not in reply.headers


def test_a_refusal_that_cannot_be_recorded_is_another_refusal():
    """Not even a 403 leaves without its leaf."""
    rig = Rig()
    rig.ledger.fail_kinds.add("exchange.outcome")
    reply = run(rig.chat(headers=[(b"x-purpose", b"marketing")]))
    assert reply.status == 503 and reply.json()["error"]["code"] == "ledger_unavailable"


def test_an_answer_whose_outcome_failed_never_leaves_and_is_closed_once():
    """503 instead of the answer, no second outcome; the sweeper closes the intent."""
    rig = Rig()
    rig.ledger.fail_kinds.add("exchange.outcome")

    async def story():
        reply = await rig.chat()
        assert reply.status == 503 and b"choices" not in reply.body
        assert [leaf["kind"] for leaf in rig.ledger.leaves] == ["exchange.intent"]
        rig.ledger.fail_kinds.clear()
        assert await rig.app.sweeper.sweep() == 1

    run(story())
    assert [leaf["kind"] for leaf in rig.ledger.leaves] == ["exchange.intent", "exchange.abandoned"]
    assert rig.ledger.leaves[1]["intent"] == 0


def test_intent_only_does_not_wait_for_the_outcome():
    """The lowest tier's answer leaves while its outcome is under way."""
    rig = Rig(mode=RecordMode.INTENT_ONLY)

    async def story():
        def reply_and_shut(_question):
            rig.ledger.gate = asyncio.Event()
            return answer_of(b"{}")

        rig.answerer.reply = reply_and_shut
        reply = await rig.chat()
        assert reply.status == 200 and len(rig.ledger.leaves) == 1 and "x-roadworthy-index" not in reply.headers
        rig.ledger.gate.set()
        await asyncio.sleep(0.01)

    run(story())
    assert [leaf["kind"] for leaf in rig.ledger.leaves] == ["exchange.intent", "exchange.outcome"]


@pytest.mark.parametrize("how", ["down", "failing"])
def test_an_intent_only_outcome_that_failed_is_swept(how):
    """Nobody waited for it, but its intent is closed."""
    rig = Rig(mode=RecordMode.INTENT_ONLY)

    async def story():
        def reply_and_break(_question):
            rig.ledger.down = how == "down"
            rig.ledger.fail_kinds = {"exchange.outcome"}
            return answer_of(b"{}")

        rig.answerer.reply = reply_and_break
        assert (await rig.chat()).status == 200
        await asyncio.sleep(0.01)
        rig.ledger.down = False
        assert await rig.app.sweeper.sweep() == 1

    run(story())
    assert rig.ledger.leaves[-1]["kind"] == "exchange.abandoned"


@pytest.mark.parametrize("chunks", [[b"x" * 5_000], [b"x" * 4_000, b"x" * 4_000]])
def test_a_body_beyond_the_limit_is_refused(chunks):
    """413, recorded with who sent it; the connection is closed since the rest was not read."""
    rig = Rig()
    reply = run(rig.call("POST", "/predict", chunks=chunks))
    _refused(rig, reply, 413, "too_large")
    assert reply.headers["connection"] == "close"


def test_a_declared_length_beyond_the_limit_is_refused_at_once():
    """No further byte is read."""
    rig = Rig()
    reply = run(rig.call("POST", "/predict", chunks=[b"x", b"y"], headers=[(b"content-length", b"99999")]))
    _refused(rig, reply, 413, "too_large")


def test_the_use_cases_own_limit_counts_where_several_share_a_path():
    """The path reads up to the largest limit, the use case refuses at its own."""
    rig = Rig(id="small", body_bytes=100)
    large = Rig(id="large", body_bytes=4_000).use
    rig.app.replace(rig.stages(large))
    reply = run(rig.chat(chunks=[json.dumps({"model": "m-1", "x": "y" * 200}).encode()]))
    assert reply.status == 413
    reply = run(rig.call("POST", "/v1/chat/completions", json.dumps({"model": "large", "x": "y" * 200}).encode()))
    assert reply.status == 200 and rig.ledger.leaves[-1]["use_case"] == "large"


def test_a_body_in_pieces_is_put_together():
    """Chunked bodies arrive whole."""
    rig = Rig()
    run(rig.call("POST", "/predict", chunks=[b'{"a"', b":1", b"}"]))
    assert rig.answerer.questions[0].body == b'{"a":1}'


@pytest.mark.parametrize("chunks", [[None], [b"half", None]])
def test_a_caller_who_leaves_before_the_end_of_the_body_is_only_counted(chunks):
    """Nothing was asked, nothing is answered."""
    rig = Rig()
    reply = Reply()
    run(rig.call("POST", "/predict", chunks=chunks, reply=reply))
    assert reply.messages == [] and rig.ledger.leaves == []
    assert rig.meter.counted == [("triage", "/predict", 499, "", "client_gone")]


def test_more_exchanges_than_allowed_are_refused():
    """The ninth of eight gets 503; the others end well."""
    rig = Rig()

    async def story():
        rig.answerer.before = asyncio.Event()
        running = [asyncio.create_task(rig.chat()) for _ in range(8)]
        await until(lambda: len(rig.answerer.questions) == 8)
        assert rig.app.in_flight == 8
        ninth = await rig.chat()
        rig.answerer.before.set()
        return ninth, await asyncio.gather(*running)

    ninth, others = run(story())
    assert ninth.status == 503 and ninth.json()["error"]["code"] == "overloaded"
    assert {reply.status for reply in others} == {200} and rig.app.in_flight == 0


def test_a_fault_of_ours_releases_nothing_and_its_intent_is_swept_at_the_end():
    """An exception in a stage reaches the server; no upstream byte left."""
    rig = Rig()
    reply = Reply()

    def explode(_question):
        raise ZeroDivisionError

    rig.answerer.reply = explode

    async def story():
        with pytest.raises(ZeroDivisionError):
            await rig.chat(reply=reply)
        await rig.app.close()

    run(story())
    assert reply.messages == [] and rig.meter.counted[0][2:] == (500, "", "fault")
    assert [leaf["kind"] for leaf in rig.ledger.leaves] == ["exchange.intent", "exchange.abandoned", "gateway.node"]


def test_an_exchange_that_was_abandoned_gets_no_outcome():
    """Too late is 504, and the intent is closed once."""
    rig = Rig(deadline_s=0.0)

    async def story():
        rig.answerer.before = asyncio.Event()
        running = asyncio.create_task(rig.chat())
        await until(lambda: rig.answerer.questions)
        assert await rig.app.sweeper.sweep() == 1
        rig.answerer.before.set()
        return await running

    reply = run(story())
    assert reply.status == 504 and b"choices" not in reply.body
    assert [leaf["kind"] for leaf in rig.ledger.leaves] == ["exchange.intent", "exchange.abandoned"]


def test_a_span_ends_with_every_request():
    """Also with those that are refused."""
    rig = Rig()
    run(rig.chat())
    run(rig.chat(key=None))
    assert [span.ended for span in rig.trace.spans] == [[200], [401]]


def test_a_refused_span_holds_no_answer():
    """LedgerRefused is a Refused of its own, so that the pipeline knows not to write again."""
    assert issubclass(LedgerRefused, Refused)


def test_an_intent_that_was_not_acknowledged_is_told_by_the_sweeper():
    """It may be durable, so the ledger also says that nobody was contacted for it."""
    rig = Rig()
    rig.ledger.fail_kinds.add("exchange.intent")

    async def story():
        assert (await rig.chat()).status == 503
        assert await rig.app.sweeper.sweep() == 1

    run(story())
    assert rig.answerer.questions == []
    assert [(leaf["kind"], leaf["intent"]) for leaf in rig.ledger.leaves] == [("exchange.abandoned", -1)]


def test_of_refusals_for_asking_too_often_one_a_second_is_recorded(monkeypatch):
    """The others are counted; each caller and each second has its own."""
    now = [1_000_000_000]
    monkeypatch.setattr(pipeline, "now_us", lambda: now[0])
    rig = Rig()
    rig.admit.refused = Refused(Reason.RATE_LIMITED, 429, "Too often.", retry_after_s=3)

    async def story():
        for _ in range(5):
            reply = await rig.chat()
            assert reply.status == 429 and reply.headers["retry-after"] == "3"
        assert len(rig.ledger.leaves) == 1
        await rig.chat(key="bob")
        assert len(rig.ledger.leaves) == 2
        now[0] += 1_000_000
        await rig.chat()

    run(story())
    assert [leaf["reason"] for leaf in rig.ledger.leaves] == ["rate_limited"] * 3
    assert len(rig.meter.counted) == 7 and len({leaf["actor"] for leaf in rig.ledger.leaves}) == 2
