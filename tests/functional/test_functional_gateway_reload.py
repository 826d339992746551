"""The gateway while it changes: reload and drain under load, keys and certificates that end, workers that are told late."""

import http.client
import json
import signal
import threading
import time
from datetime import timedelta

import published_leaves
import pytest
from ai_system import WAIT_S, AiSystem
from gateway_process import POLICY, Gateway, Load, request

from roadworthy.base.clock import now
from roadworthy.domain.certificate import Caps, Certificate, Revocation
from roadworthy.domain.risk import Tier
from roadworthy.gates.certificate import certificate_statement, revocation_statement
from roadworthy.gateway.identity.api_keys import new_key
from roadworthy.ledger.dsse import sign
from roadworthy.ledger.keys import generate_key
from roadworthy.ledger.statement import PAYLOAD_TYPE, statement

pytestmark = pytest.mark.slow

MODEL = "policy-search"
PATH = "/v1/chat/completions"
RELEASE = "sha256:" + "5" * 64
HEADERS = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def system():
    """What is behind every gateway here."""
    with AiSystem() as found:
        yield found


def declared(folder, system, *, workers=1, **more):
    """A gateway before the AI system."""
    found = Gateway(folder, system.url, workers=workers)
    found.config["use_cases"]["search"]["upstreams"] = {"main": {"url": system.url}}
    found.config["use_cases"]["search"].update(more)
    found.write()
    return found


def ask(gateway, text="hello", *, key=None, stream=False, model=MODEL):
    """One question: status, body, headers."""
    asked = {"model": model, "stream": stream, "messages": [{"role": "user", "content": text}]}
    return request(gateway.port, "POST", PATH, asked, {**HEADERS, "authorization": f"Bearer {key or gateway.key}"})


class Aside:
    """One question in a thread of its own; its answer, once it is there."""

    def __init__(self, gateway, text, **more):
        self.answer = None
        self._thread = threading.Thread(target=self._run, args=(gateway, text), kwargs=more)
        self._thread.start()

    def _run(self, gateway, text, **more):
        try:
            self.answer = ask(gateway, text, **more)
        except (OSError, http.client.HTTPException) as error:
            self.answer = (0, {"text": repr(error)}, {})

    def done(self):
        """The answer."""
        self._thread.join()
        return self.answer


def test_ten_reloads_under_load_drop_nothing(system, tmp_path) -> None:
    """Two workers, whole answers and streams; every request is answered, and every answer is on record."""
    with declared(tmp_path, system, workers=2) as gateway, Load(gateway, callers=6) as load:
        streams = [Aside(gateway, "slowly, and in many words please", stream=True) for _ in range(3)]
        for number in range(10):
            extra = {"roles": ["auditor"], "use_cases": ["*"], "purposes": ["*"], "data_scopes": ["*"]}
            gateway.write({**POLICY, "grants": [*POLICY["grants"], {**extra, "cohorts": [f"c{number}"]}]})
            gateway.process.send_signal(signal.SIGHUP)
            time.sleep(0.2)
        told = [stream.done() for stream in streams]
        gateway.wait_for(lambda: gateway.words().count("was read again") >= 20)
        load.__exit__()
        leaves = published_leaves.verified(tmp_path / "ledger")
    assert load.torn == 0
    assert set(load.statuses) == {200}
    assert all(status == 200 and body["text"].endswith("data: [DONE]\n\n") for status, body, _ in told)
    assert len({leaf.facts["policy"] for leaf in leaves if leaf.base.kind == published_leaves.OUTCOME}) > 1
    assert published_leaves.twice(leaves) == []


def test_a_bad_configuration_keeps_the_old_one(system, tmp_path) -> None:
    """Not YAML, an unknown key, a file that is gone, a foreign policy: each is named, and nobody notices."""
    with declared(tmp_path, system) as gateway:
        good, policy = gateway.path.read_text(), (tmp_path / "policy.yaml").read_text()
        broken = {
            "gateway.yaml": ["{", good + "surprise: 1\n", good.replace("keys.yaml", "gone.yaml"), ""],
            "policy.yaml": ["policy: 2\ngrants: []\n", policy.replace("roles", "rolls")],
        }
        tries = [(name, text) for name, texts in broken.items() for text in texts]
        for kept, (name, text) in enumerate(tries, 1):
            (tmp_path / "gateway.yaml").write_text(good)
            (tmp_path / name).write_text(text)
            gateway.process.send_signal(signal.SIGHUP)
            gateway.wait_for(lambda count=kept: gateway.words().count("The old configuration stays in force") == count)
            assert ask(gateway)[0] == 200
        (tmp_path / "policy.yaml").write_text(policy)
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for(lambda: "was read again" in gateway.words())


def test_a_new_use_case_is_served_after_a_reload(system, tmp_path) -> None:
    """And one that was taken away is not."""
    with declared(tmp_path, system) as gateway:
        assert ask(gateway, model="fresh")[0] == 404
        use_case = gateway.config["use_cases"].pop("search")
        use_case["routes"] = [{"protocol": "openai", "models": ["fresh"]}]
        gateway.config["use_cases"]["other"] = use_case
        gateway.write()
        gateway.process.send_signal(signal.SIGHUP)
        gateway.wait_for(lambda: ask(gateway, model="fresh")[0] == 200)
        assert ask(gateway)[0] == 404


def test_a_drain_finishes_what_runs(system, tmp_path) -> None:
    """A long answer and a stream under way come whole, nobody new is served, and every intent has its end."""
    with declared(tmp_path, system) as gateway:
        before = len(system.asked)
        whole = Aside(gateway, "wait")
        stream = Aside(gateway, "slowly, and in many words please", stream=True)
        gateway.wait_for(lambda: len(system.asked) == before + 2)
        gateway.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        refused = Aside(gateway, "hello").done()
        assert refused[0] in {0, 503}
        assert whole.done()[0] == 200
        status, body, _ = stream.done()
        assert status == 200
        assert body["text"].endswith("data: [DONE]\n\n")
        assert gateway.process.wait(15) == 0
    leaves = published_leaves.verified(tmp_path / "ledger")
    assert sorted(begun(leaves)) == sorted(ended(leaves))


def test_a_drain_ends(system, tmp_path) -> None:
    """What does not finish in time is closed on record, and the process is gone."""
    gateway = declared(tmp_path, system)
    gateway.config["drain_s"] = 0.5
    gateway.write()
    with gateway:
        before = len(system.asked)
        cut = Aside(gateway, "wait")
        gateway.wait_for(lambda: len(system.asked) > before)
        began_s = time.monotonic()
        assert gateway.stop() == 0
        assert time.monotonic() - began_s < WAIT_S + 3
        assert cut.done()[0] in {0, 500, 503}
    leaves = published_leaves.verified(tmp_path / "ledger")
    assert sorted(begun(leaves)) == sorted(ended(leaves))


def begun(leaves):
    """Exchanges with an intent."""
    return [leaf.facts["id"] for leaf in leaves if leaf.base.kind == published_leaves.INTENT]


def ended(leaves):
    """Exchanges that had an intent and have an end."""
    ends = (published_leaves.OUTCOME, published_leaves.ABANDONED)
    return [leaf.facts["id"] for leaf in leaves if leaf.base.kind in ends and leaf.facts["intent"] >= 0]


def test_a_key_that_is_taken_out_of_the_file_stops(system, tmp_path) -> None:
    """Within two seconds, in every worker, without a signal; a new one counts, and the others go on."""
    with declared(tmp_path, system, workers=2) as gateway:
        second, line = new_key("second", roles=["user"], scopes=["*"], purposes=["*"])
        keys = tmp_path / "keys.yaml"
        both = keys.read_text() + line + "\n"
        keys.write_text(both)
        gateway.wait_for(lambda: {ask(gateway, key=second)[0] for _ in range(8)} == {200}, 3)
        keys.write_text(f"api_keys: 1\nkeys:\n{line}\n")
        time.sleep(2)
        assert {ask(gateway)[0] for _ in range(16)} == {401}
        assert ask(gateway, key=second)[0] == 200
        keys.write_text(both.replace('"owner": "second"', '"owner": "second", "disabled": true'))
        time.sleep(2)
        assert {ask(gateway, key=second)[0] for _ in range(16)} == {401}
        assert ask(gateway)[0] == 200


class Authority:
    """Signs certificates for the gateway in a folder."""

    def __init__(self, folder):
        self.key = generate_key()
        self.certificate, self.revocations = folder / "certificate.json", folder / "revocations.jsonl"
        self.revocations.write_bytes(b"")

    @property
    def admission(self):
        """The block of gateway.yaml."""
        return {
            "certificate": str(self.certificate),
            "revocations": str(self.revocations),
            "trusted_keys": [self.key.public.hex],
            "refresh_s": 1,
            "pilot_cohorts": ["pilot"],
        }

    def issue(self, name, lasts_s, key=None, **changes):
        """Write a certificate that is in force from now on."""
        members = {
            "id": name,
            "use_case_id": "search",
            "release_digest": RELEASE,
            "decision_digest": RELEASE,
            "gate_id": "production",
            "tier": Tier.R3,
            "caps": Caps(),
            "obligations": (),
            "valid_from": now() - timedelta(seconds=5),
            "valid_until": now() + timedelta(seconds=lasts_s),
            "checkpoint": "",
        }
        found = Certificate(**{**members, **changes})
        self.certificate.write_bytes(self._signed(certificate_statement(found), key or self.key))

    def revoke(self, name):
        """Add a revocation."""
        revocation = Revocation(certificate_id=name, at=now(), reason="Drift.")
        with self.revocations.open("ab") as stream:
            stream.write(self._signed(revocation_statement(revocation), self.key) + b"\n")

    @staticmethod
    def _signed(parts, key):
        return sign(PAYLOAD_TYPE, statement(*parts), [key]).to_bytes()


def test_the_end_of_a_certificate_leaves_the_pilot(system, tmp_path) -> None:
    """Valid, expired, renewed, revoked, for another release, signed by a stranger: who is served follows each at once."""
    authority = Authority(tmp_path)
    gateway = declared(tmp_path, system, tier="R3", admission=authority.admission)
    gateway.config["use_cases"]["search"]["upstreams"]["main"]["release"] = RELEASE
    gateway.write()
    pilot, line = new_key("first", roles=["user"], scopes=["*"], purposes=["*"], cohort="pilot")
    keys = tmp_path / "keys.yaml"
    keys.write_text(keys.read_text() + line + "\n")

    def served():
        return ask(gateway)[0], ask(gateway, key=pilot)[0]

    with gateway:
        assert served() == (403, 200)  # no certificate yet
        authority.issue("brief", 4)
        gateway.wait_for(lambda: served() == (200, 200), 3)
        status, _, headers = ask(gateway)
        gateway.wait_for(lambda: served() == (403, 200), 6)
        found = published_leaves.verified(tmp_path / "ledger", at_least=int(headers["x-roadworthy-index"]) + 1)
        facts = published_leaves.outcome(found, headers["x-roadworthy-record"]).facts
        assert (status, facts["admission"], facts["release"]) == (200, "certificate:brief", RELEASE)
        assert ask(gateway)[1]["error"]["code"] == "not_admitted"
        authority.issue("long", 600)
        gateway.wait_for(lambda: served() == (200, 200), 3)
        authority.revoke("long")
        gateway.wait_for(lambda: served() == (403, 200), 3)
        authority.issue("next", 600)
        gateway.wait_for(lambda: served() == (200, 200), 3)
        authority.issue("foreign", 600, key=generate_key())
        gateway.wait_for(lambda: served() == (403, 200), 3)
        authority.issue("other", 600, release_digest="sha256:" + "6" * 64)
        time.sleep(2)
        assert served() == (403, 200)
        authority.issue("narrow", 600, caps=Caps(cohorts=("ward-3",)))
        time.sleep(2)
        assert served() == (403, 200)
        authority.issue("whole", 600)
        gateway.wait_for(lambda: served() == (200, 200), 3)
        ready = gateway.admin("GET", "/health/ready")[1]["certificates"]["search"]
        assert (ready["state"], ready["certificate"]) == ("valid", "whole")
        authority.certificate.unlink()
        gateway.wait_for(lambda: served() == (403, 200), 3)
        assert gateway.admin("GET", "/health/ready")[1]["certificates"]["search"]["state"] == "missing"
    assert json.loads(json.dumps(ready))["release"] == RELEASE


def test_a_use_case_of_a_high_tier_does_not_start_without_admission(system, tmp_path) -> None:
    """The configuration is refused before anything is bound."""
    gateway = declared(tmp_path, system, tier="R3")
    with pytest.raises(AssertionError, match="admission"):
        gateway.__enter__()
    gateway.process.wait(10)
    gateway.__exit__()
