"""Every fault of the table, brought about behind the running gateway: who answers, what the caller is told, what is on record."""

import datetime as dt
import ipaddress
import json
import ssl

import published_leaves
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from gateway_process import Gateway, request

from roadworthy.domain.exchange import RungKind
from roadworthy.probes.fault.faults import Fault, Sizes
from roadworthy.probes.fault.scenarios import SCENARIOS, AddressFault, Effect, expected
from roadworthy.probes.fault.stage import FaultStage
from roadworthy.probes.fault.upstream import FaultUpstream

pytestmark = pytest.mark.slow

SIZES = Sizes(slow_s=0.05, stall_s=2.0)
DEADLINES = {"connect_s": 0.5, "first_byte_s": 1.0, "idle_s": 0.6, "total_s": 8}
PATIENT = {"failure_share": 1.0, "least_requests": 1_000_000}
LADDERS = {"second": (RungKind.ALTERNATE,), "bare": ()}
PATH = "/v1/chat/completions"


def upstream(url, **more):
    """The block of one upstream; its breaker never opens, so that every fault is seen alone."""
    return {"url": url, "deadlines": DEADLINES, "breaker": PATIENT, "most_answer_bytes": 1_000_000, **more}


def use_case(model, upstreams, fallback):
    """The block of one use case."""
    routes = [{"protocol": "openai", "models": [model]}]
    retries = {"most": 1, "budget_share": 1.0}
    return {
        "tier": "R2", "purposes": ["work"], "routes": routes, "upstreams": upstreams,
        "fallback": fallback, "retries": retries,
    }  # fmt: skip


def certificate(folder):
    """A certificate for 127.0.0.1 that only who is told trusts: its path, and a context that shows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    at = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(at - dt.timedelta(hours=1))
        .not_valid_after(at + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "tls.pem"
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path.write_bytes(made.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return path, context


class Theatre:
    """The stage with its faults, the gateway before it, and a second AI system beside it."""

    def __init__(self, gateway, stage, second, secure):
        self.gateway, self.stage, self.second, self.secure = gateway, stage, second, secure

    def ask(self, model, *, stream=False):
        """One question: status, headers, body as text."""
        asked = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "how are you today"}]}
        headers = {"authorization": f"Bearer {self.gateway.key}", "content-type": "application/json"}
        status, body, found = request(self.gateway.port, "POST", PATH, asked, headers)
        return status, found, body.get("text") or json.dumps(body)

    def leaves(self, *records):
        """The verified log, once every exchange in ``records`` has ended in it."""
        found = []

        def closed():
            found[:] = published_leaves.verified(self.gateway.folder / "ledger")
            ends = (published_leaves.OUTCOME, published_leaves.ABANDONED)
            ended = {leaf.facts.get("id") for leaf in found if leaf.base.kind in ends}
            return ended >= set(records)

        self.gateway.wait_for(closed)
        return found


@pytest.fixture(scope="module")
def theatre(tmp_path_factory):
    """All of it."""
    folder = tmp_path_factory.mktemp("faults")
    path, context = certificate(folder)
    with (
        FaultStage(sizes=SIZES) as stage,
        FaultStage(sizes=SIZES, tls=context) as secure,
        FaultUpstream(sizes=SIZES) as second,
    ):
        gateway = Gateway(folder, stage.url)
        main, alternate = upstream(stage.url), {"alternate": "second", "evidence": "sha256:" + "0" * 64}
        short = upstream(stage.url, breaker={"failure_share": 0.5, "least_requests": 4, "open_s": 1.0, "window_s": 30})
        gateway.config["use_cases"] = {
            "second": use_case("second", {"main": main, "second": upstream(second.url)}, [alternate]),
            "bare": use_case("bare", {"main": main}, []),
            "short": use_case("short", {"main": short, "second": upstream(second.url)}, [alternate]),
            "trusted": use_case("trusted", {"main": upstream(secure.url, ca=str(path))}, []),
            "untrusted": use_case("untrusted", {"main": upstream(secure.url)}, []),
        }
        gateway.config = json.loads(json.dumps(gateway.config))  # no aliases in its YAML
        gateway.write()
        with gateway:
            yield Theatre(gateway, stage, second, secure)


def first_answers(theatre, model):
    """Whether the primary answers."""
    status, headers, _ = theatre.ask(model)
    return status == 200 and "x-roadworthy-rung" not in headers


def is_whole(text, *, streamed):
    """Whether an answer ends in order."""
    if streamed and text.startswith("data:"):
        return text.endswith("data: [DONE]\n\n") and '"error":' not in text
    return bool(json.loads(text))


@pytest.mark.parametrize("model", LADDERS)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.id)
def test_a_fault_and_its_right_answer(theatre, scenario, model) -> None:
    """Status, rung, notice and completeness are those of the table; one outcome says it, with every try."""
    theatre.gateway.wait_for(lambda: first_answers(theatre, model), scenario.recover_within_s)
    theatre.stage.method(scenario).do()
    try:
        status, headers, text = theatre.ask(model, stream=scenario.streamed)
    finally:
        theatre.stage.restore()
    want = expected(scenario, LADDERS[model])
    record = headers["x-roadworthy-record"]
    facts = published_leaves.outcome(theatre.leaves(record), record).facts
    if scenario.effect is Effect.CUT and status == 502:
        # All that came stood in one packet with the stream's end, so nothing had left: a plain refusal.
        assert (facts["reason"], facts["status"], json.loads(text)["error"]["record"]) == (
            "upstream_failed",
            502,
            record,
        )
        assert ",stream:" in facts["attempts"]
        return
    assert status in want.statuses, text[:300]
    assert (facts["rung"], facts["status"]) == (want.rung.value, status)
    assert is_whole(text, streamed=scenario.streamed) is want.complete, text[-300:]
    told = "x-roadworthy-notice" in headers or '"error":' in text
    assert told is want.told, headers
    tries = [each.split(":") for each in facts["attempts"].split(",")]
    assert tries[0][0] == "main"
    if scenario.effect is Effect.KEPT:
        assert [each[:2] for each in tries] == [["main", "200"]]
    elif scenario.effect is Effect.CUT:
        assert [each[0] for each in tries] == ["main", "stream"]
        assert facts["reason"] == "stream_cut"
    else:
        last = ["second", "200"] if model == "second" else ["built-in", "503"]
        assert tries[-1][:2] == last
        assert all(name == "main" and outcome != "200" for name, outcome, *_ in tries[:-1])


def test_the_faults_left_no_trace_beside_the_log(theatre) -> None:
    """Whatever reached an AI system had its intent on record before; no entry was written twice."""
    leaves = theatre.leaves()
    begun = {leaf.facts["trace"]: leaf.base.at for leaf in leaves if leaf.base.kind == published_leaves.INTENT}
    seen = [*theatre.stage.upstream.seen, *theatre.second.seen]
    assert len(seen) > 50
    for each in seen:
        assert begun[each.traceparent.split("-")[1]] <= each.at
    intents = [leaf.facts["id"] for leaf in leaves if leaf.base.kind == published_leaves.INTENT]
    ends = [leaf.facts["id"] for leaf in leaves if leaf.base.kind == published_leaves.OUTCOME]
    assert sorted(intents) == sorted(ends)
    assert published_leaves.twice(leaves) == []


def test_the_breaker_opens_and_closes(theatre) -> None:
    """After some failures nobody asks any more; after its pause one question finds out that all is well."""
    theatre.stage.upstream.switch(Fault.ERROR_500)
    records = [theatre.ask("short")[1]["x-roadworthy-record"] for _ in range(8)]
    theatre.stage.restore()
    leaves = theatre.leaves(*records)
    first = [published_leaves.outcome(leaves, record).facts["attempts"].split(":")[1] for record in records]
    assert first[0] == "500"
    assert first[-1] == "breaker_open"
    assert theatre.gateway.admin("GET", "/health/ready")[1]["upstreams"]["short"]["main"] == "open"
    theatre.gateway.wait_for(lambda: first_answers(theatre, "short"), 3)
    assert theatre.gateway.admin("GET", "/health/ready")[1]["upstreams"]["short"]["main"] == "closed"


def test_who_cannot_prove_who_it_is_gets_nothing(theatre) -> None:
    """A certificate that nobody trusts, and a handshake that is turned down: no request leaves."""
    assert theatre.ask("trusted")[0] == 200
    before = len(theatre.secure.upstream.seen)
    status, headers, _ = theatre.ask("untrusted")
    assert status == 503
    record = headers["x-roadworthy-record"]
    attempts = published_leaves.outcome(theatre.leaves(record), record).facts["attempts"]
    assert attempts.startswith("main:tls:")
    scenario = next(each for each in SCENARIOS if each.fault is AddressFault.TLS_REFUSED)
    theatre.secure.method(scenario).do()
    try:
        status, headers, _ = theatre.ask("trusted")
    finally:
        theatre.secure.restore()
    record = headers["x-roadworthy-record"]
    attempts = published_leaves.outcome(theatre.leaves(record), record).facts["attempts"]
    assert (status, attempts.split(":")[1]) == (503, "tls")
    assert len(theatre.secure.upstream.seen) == before
    theatre.gateway.wait_for(lambda: first_answers(theatre, "trusted"))
