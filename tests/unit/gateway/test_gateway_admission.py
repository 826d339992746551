"""Admission by certificate: its caps, its end, and everything that must not pass for one."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from roadworthy.base.errors import MissingFile, SignatureBroken
from roadworthy.domain.certificate import Caps, Certificate, Revocation
from roadworthy.domain.exchange import Caller
from roadworthy.domain.risk import Tier
from roadworthy.gates.certificate import certificate_statement, revocation_statement
from roadworthy.gateway import admission as admission_module
from roadworthy.gateway.admission import Admit, wave_bucket
from roadworthy.gateway.certificate_file import MOST_BYTES, Past
from roadworthy.gateway.config import Admission, OpenInferenceRoute, Upstream, UseCase
from roadworthy.gateway.exchange import Reason, Refused
from roadworthy.ledger.dsse import sign
from roadworthy.ledger.keys import key_from_seed
from roadworthy.ledger.statement import PAYLOAD_TYPE, statement

RELEASE, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
KEY, FOREIGN = key_from_seed(bytes(32)), key_from_seed(bytes([1]) * 32)
FROM = datetime(2026, 11, 1, tzinfo=UTC)
UNTIL = FROM + timedelta(days=30)
NOW = (FROM + timedelta(days=10)).timestamp()
CERTIFICATE = Certificate(
    id="cert-1",
    use_case_id="heart",
    release_digest=RELEASE,
    decision_digest=OTHER,
    gate_id="production",
    tier=Tier.R3,
    caps=Caps(),
    obligations=(),
    valid_from=FROM,
    valid_until=UNTIL,
    checkpoint="",
)


def sealed(parts, keys=(KEY,), payload_type=PAYLOAD_TYPE):
    return sign(payload_type, statement(*parts), keys).to_bytes()


def revoked(certificate_id="cert-1", keys=(KEY,)):
    revocation = Revocation(certificate_id=certificate_id, at=UNTIL, reason="Drift.")
    return sealed(revocation_statement(revocation), keys) + b"\n"


def caller(name="a", cohort="ward-3"):
    return Caller(
        id=name,
        credential="k",
        roles=frozenset(),
        cohort=cohort,
        scopes=frozenset(),
        purposes=frozenset(),
        expires_at_s=9e9,
    )


class Rig:
    """A stage over files in a folder, asked at growing instants."""

    def __init__(self, folder, *, revocations=True, release=RELEASE, tier=Tier.R3, **options):
        self.certificate, self.revocations = folder / "certificate.json", folder / "revocations.jsonl"
        if revocations:
            self.revocations.write_bytes(b"")
        self.admission = Admission(
            certificate=self.certificate,
            trusted_keys=[KEY.public.hex],
            revocations=self.revocations if revocations else None,
            pilot_cohorts=["pilot"],
        )
        self.stage = Admit("heart", tier, self.admission, release=release, **options)
        self.now_s = NOW

    def write(self, certificate=CERTIFICATE, keys=(KEY,)):
        self.certificate.write_bytes(sealed(certificate_statement(certificate), keys))
        return self

    def ask(self, who=None, scope="cardiology", *, after_s=2.0):
        """What the stage answers, in a word."""
        self.now_s += after_s
        try:
            return self.stage.check(who or caller(), scope, self.now_s)
        except Refused as refused:
            return refused.reason

    def state(self):
        return self.stage.status()["state"]


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path).write()


def test_a_good_certificate_admits(rig):
    """By its id; the status tells the rest."""
    assert rig.stage.status()["state"] == "not_asked"
    assert rig.ask() == "certificate:cert-1"
    status = rig.stage.status()
    assert (status["state"], status["certificate"], status["fault"]) == ("valid", "cert-1", "")
    assert (status["valid_until_s"], status["release"]) == (UNTIL.timestamp(), RELEASE)


def fail_closed(rig, state):
    """Nobody but the pilot, and the state says why."""
    assert rig.ask() is Reason.NOT_ADMITTED
    assert rig.ask(caller(cohort="pilot")) == "pilot"
    assert rig.ask(caller(cohort="")) is Reason.NOT_ADMITTED
    assert rig.state() == state
    assert rig.stage.status(rig.now_s)["state"] == state


def test_without_a_certificate_only_the_pilot_goes_on(tmp_path):
    """Missing from the start; it is admitted as soon as the file is there."""
    rig = Rig(tmp_path)
    fail_closed(rig, "missing")
    assert rig.write().ask() == "certificate:cert-1"
    rig.certificate.unlink()
    fail_closed(rig, "missing")


@pytest.mark.parametrize(
    "bytes_", [b"", b"{", b"[]", b"\xff", b'{"payload": 1}', b" " * (MOST_BYTES + 1)], ids=range(6)
)
def test_a_damaged_certificate_is_none(rig, bytes_):
    """Half-written, empty, another form."""
    assert rig.ask() == "certificate:cert-1"
    rig.certificate.write_bytes(bytes_)
    fail_closed(rig, "unreadable")


def test_a_signature_by_another_key_is_none(tmp_path):
    """An untrusted key, no key, and a trusted key's name on another's signature."""
    fail_closed(Rig(tmp_path).write(keys=(FOREIGN,)), "bad_signature")
    fail_closed(Rig(tmp_path).write(keys=()), "bad_signature")
    rig = Rig(tmp_path).write(keys=(KEY, FOREIGN))
    assert rig.ask() == "certificate:cert-1"
    envelope = json.loads(rig.certificate.read_bytes())
    envelope["signatures"][0]["sig"] = envelope["signatures"][1]["sig"]
    rig.certificate.write_text(json.dumps(envelope))
    fail_closed(rig, "bad_signature")


def test_another_payload_is_no_certificate(rig):
    """A revocation, another media type, a changed word."""
    rig.certificate.write_bytes(revoked())
    fail_closed(rig, "unreadable")
    rig.certificate.write_bytes(sealed(certificate_statement(CERTIFICATE), payload_type="text/plain"))
    fail_closed(rig, "unreadable")
    rig.write()
    envelope = json.loads(rig.certificate.read_bytes())
    envelope["payload"] = json.loads(revoked())["payload"]
    rig.certificate.write_text(json.dumps(envelope))
    fail_closed(rig, "bad_signature")


def test_another_use_case_is_refused(tmp_path):
    """A certificate is not transferable."""
    fail_closed(Rig(tmp_path).write(replace(CERTIFICATE, use_case_id="lung")), "other_use_case")


def test_a_lower_tier_is_refused(tmp_path):
    """What passed the gates of R2 may not do the work of R3; what is forbidden may do none; a higher one may."""
    fail_closed(Rig(tmp_path).write(replace(CERTIFICATE, tier=Tier.R2)), "other_tier")
    fail_closed(Rig(tmp_path).write(replace(CERTIFICATE, tier=Tier.R0)), "other_tier")
    fail_closed(Rig(tmp_path, tier=Tier.R4).write(), "other_tier")
    assert Rig(tmp_path).write(replace(CERTIFICATE, tier=Tier.R4)).ask() == "certificate:cert-1"
    assert Rig(tmp_path, tier=Tier.R2).write().ask() == "certificate:cert-1"


def test_another_release_is_refused(tmp_path):
    """Also while nobody knows which one runs; what the system tells later counts."""
    fail_closed(Rig(tmp_path).write(replace(CERTIFICATE, release_digest=OTHER)), "other_release")
    rig = Rig(tmp_path, release="").write()
    fail_closed(rig, "other_release")
    rig.stage.learn(RELEASE)
    assert (rig.ask(), rig.stage.release) == ("certificate:cert-1", RELEASE)
    rig.stage.learn(OTHER)
    fail_closed(rig, "other_release")
    rig.stage.learn("")
    fail_closed(rig, "other_release")


def test_the_end_is_exclusive_and_final(tmp_path):
    """At the instant itself it is over, and the clock cannot bring it back; a new certificate can."""
    rig = Rig(tmp_path).write()
    rig.now_s = UNTIL.timestamp() - 0.001
    assert rig.ask(after_s=0) == "certificate:cert-1"
    rig.now_s = UNTIL.timestamp()
    assert rig.ask(after_s=0) is Reason.NOT_ADMITTED
    rig.now_s = NOW
    fail_closed(rig, "expired")
    assert rig.write(replace(CERTIFICATE, id="cert-2")).ask() == "certificate:cert-2"


def test_the_beginning_is_inclusive(tmp_path):
    """Before it, the certificate is not in force yet; at it, it is."""
    rig = Rig(tmp_path).write()
    rig.now_s = FROM.timestamp() - 0.001
    assert (rig.ask(after_s=0), rig.state()) == (Reason.NOT_ADMITTED, "not_yet_valid")
    rig.now_s = FROM.timestamp()
    assert rig.ask(after_s=0) == "certificate:cert-1"


def test_a_revocation_ends_it_at_once_and_for_good(rig):
    """Whatever instant it names, and though its line is taken away again."""
    assert rig.ask() == "certificate:cert-1"
    rig.revocations.write_bytes(revoked("cert-0") + revoked())
    fail_closed(rig, "revoked")
    rig.revocations.write_bytes(b"")
    fail_closed(rig, "revoked")
    assert rig.write(replace(CERTIFICATE, id="cert-2")).ask() == "certificate:cert-2"


def test_what_ended_stays_ended_after_a_reload(tmp_path):
    """A new stage of the same use case knows it from the node's file; that of another one does not."""
    kept = tmp_path / "ended.jsonl"
    first = Rig(tmp_path, past=Past("heart", kept)).write()
    first.revocations.write_bytes(revoked())
    assert first.ask() is Reason.NOT_ADMITTED
    first.revocations.write_bytes(b"")
    fail_closed(Rig(tmp_path, past=Past("heart", kept)), "revoked")
    assert Rig(tmp_path, past=Past("lung", kept)).ask() == "certificate:cert-1"
    second = Rig(tmp_path, past=Past("heart", kept)).write(replace(CERTIFICATE, id="cert-2"))
    second.now_s = UNTIL.timestamp()
    assert second.ask() is Reason.NOT_ADMITTED
    fail_closed(Rig(tmp_path, past=Past("heart", kept)), "expired")
    assert len([line for line in kept.read_bytes().splitlines() if line]) == 2
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_line_that_a_crash_cut_loses_no_other(tmp_path):
    """Neither those before it nor those after it; what is known is not written again."""
    kept = tmp_path / "ended.jsonl"
    kept.write_bytes(b'5\n{"use_case":"heart","what":"x","id":"a"}\n{"use_case":"heart","what":"revo')
    Past("heart", kept).revoke(["cert-1", "cert-0"])
    Past("heart", kept).revoke(["cert-1"])
    found = Past("heart", kept)
    assert (found.revoked, found.ended) == ({"cert-0", "cert-1"}, set())
    assert kept.read_bytes().count(b"cert-1") == 1


def test_an_end_that_cannot_be_kept_still_holds(tmp_path, caplog):
    """For this process; it is written with the next one. A file that cannot be read ends the start."""
    kept = tmp_path / "state" / "ended.jsonl"
    past = Past("heart", kept)
    past.end("cert-1")
    assert past.ended == {"cert-1"} and "cannot be kept" in caplog.text
    kept.parent.mkdir()
    past.end("cert-2")
    assert Past("heart", kept).ended == {"cert-1", "cert-2"}
    with pytest.raises(MissingFile):
        Past("heart", kept.parent)


def test_the_certificates_scopes_bound_what_may_be_cited(tmp_path):
    """Of the certificate that admitted, also after the next one came; a pilot has no bound, an unknown word no reach."""
    rig = Rig(tmp_path).write(replace(CERTIFICATE, caps=Caps(data_scopes=("cardiology",))))
    first = rig.ask()
    second = rig.write(replace(CERTIFICATE, id="cert-2")).ask()
    assert rig.stage.data_scopes(first) == {"cardiology"}
    assert [rig.stage.data_scopes(word) for word in (second, "pilot", "none")] == [None] * 3
    assert rig.stage.data_scopes("certificate:cert-3") == frozenset()


@pytest.mark.parametrize(
    "bytes_",
    [b"{}\n", b"\n", revoked("cert-0")[:-1], revoked("cert-0")[:50], revoked("cert-0", (FOREIGN,)), b"\xff\n"],
)
def test_damaged_revocations_admit_nobody(rig, bytes_):
    """Not an envelope, cut, signed by another: who knows what the line said."""
    assert rig.ask() == "certificate:cert-1"
    rig.revocations.write_bytes(bytes_)
    fail_closed(rig, "revocations_unreadable")
    rig.revocations.write_bytes(revoked("cert-0"))
    assert rig.ask() == "certificate:cert-1"


def test_missing_revocations_admit_nobody(rig):
    """When the configuration names the file, it must be there; when it names none, none is asked for."""
    rig.revocations.unlink()
    fail_closed(rig, "revocations_unreadable")
    free = Rig(rig.certificate.parent, revocations=False)
    assert free.ask() == "certificate:cert-1"


def test_caps_bound_cohorts_and_scopes(tmp_path):
    """Outside of them only the pilot is served, as the pilot."""
    caps = Caps(cohorts=("ward-3",), data_scopes=("cardiology",))
    rig = Rig(tmp_path).write(replace(CERTIFICATE, caps=caps))
    assert rig.ask() == "certificate:cert-1"
    assert rig.ask(caller(cohort="ward-4")) is Reason.NOT_ADMITTED
    assert rig.ask(scope="oncology") is Reason.NOT_ADMITTED
    assert rig.ask(scope="") is Reason.NOT_ADMITTED
    assert rig.ask(caller(cohort="pilot")) == "pilot"


def test_a_wave_is_sticky_and_grows(tmp_path):
    """Who is inside at 10 % is inside at 30 %; the share is about right; another release draws anew."""
    names = [f"user-{number}" for number in range(2000)]

    def wave(share, release=RELEASE):
        caps = Caps(wave_share=share)
        rig = Rig(tmp_path, release=release).write(replace(CERTIFICATE, caps=caps, release_digest=release))
        inside = {name for name in names if rig.ask(caller(name), after_s=0.001) == "certificate:cert-1"}
        assert inside == {name for name in names if rig.ask(caller(name), after_s=0.001) == "certificate:cert-1"}
        return inside

    tenth, third = wave(0.1), wave(0.3)
    assert tenth < third
    assert abs(len(tenth) - 200) < 60
    assert abs(len(third) - 600) < 90
    assert (len(wave(0.0)), len(wave(1.0))) == (0, 2000)
    assert wave(0.1, OTHER) != tenth


def test_the_wave_is_remembered_within_a_bound(tmp_path, monkeypatch):
    """Forgetting a caller changes nothing, and learning the same release again neither."""
    monkeypatch.setattr(admission_module, "_MOST_CALLERS", 10)
    rig = Rig(tmp_path).write(replace(CERTIFICATE, caps=Caps(wave_share=0.5)))
    first = [rig.ask(caller(str(number)), after_s=0.001) for number in range(40)]
    assert len(rig.stage._waves) == 10
    rig.stage.learn(RELEASE)
    assert len(rig.stage._waves) == 10
    assert [rig.ask(caller(str(number)), after_s=0.001) for number in range(40)] == first


def test_the_bucket_of_a_wave_is_fixed(tmp_path):
    """HMAC-SHA-256 with the release as the key, computed once outside of this program."""
    assert wave_bucket(RELEASE, "alice") == 9445
    # 0.57 times 10,000 is a little less than 5,700 to a computer.
    other = next(name for name in map(str, range(100_000)) if wave_bucket(RELEASE, name) == 5699)
    for share, name, inside in ((0.9445, "alice", False), (0.9446, "alice", True), (0.57, other, True)):
        rig = Rig(tmp_path).write(replace(CERTIFICATE, caps=Caps(wave_share=share)))
        assert (rig.ask(caller(name)) == "certificate:cert-1") is inside
    assert all(0 <= wave_bucket(RELEASE, str(number)) < 10_000 for number in range(100))


def test_the_rate_is_the_certificates(tmp_path):
    """Ten seconds' worth at once, then refused with 429, divided by the workers; a rewritten file fills no bucket."""
    capped = replace(CERTIFICATE, caps=Caps(rate_rps=4.0))
    rig = Rig(tmp_path, workers=2).write(capped)
    answers = [rig.ask(after_s=0.0) for _ in range(30)]
    assert answers.count("certificate:cert-1") == 20
    assert set(answers[20:]) == {Reason.RATE_LIMITED}
    rig.certificate.write_bytes(rig.certificate.read_bytes() + b"\n")
    assert [rig.ask(after_s=1.0) for _ in range(2)] == ["certificate:cert-1"] * 2
    assert [rig.ask(after_s=0.0) for _ in range(4)].count("certificate:cert-1") == 2


def test_files_are_read_again_in_time(tmp_path):
    """Also when nothing of a change shows: at the latest after ``refresh_s``."""
    rig = Rig(tmp_path).write()
    assert rig.ask() == "certificate:cert-1"
    reads = []
    read = rig.stage._file._certificate._read
    rig.stage._file._certificate._read = lambda data: reads.append(data) or read(data)
    rig.stage._file._certificate._bytes = b""
    rig.ask(after_s=10)
    assert not reads
    rig.ask(after_s=25)
    assert len(reads) == 1


def test_a_key_that_is_none_is_refused_at_once(tmp_path):
    """Before any traffic."""
    admission = Admission(certificate=tmp_path / "c", trusted_keys=["zz"])
    with pytest.raises(SignatureBroken):
        Admit("heart", Tier.R3, admission)


def test_low_tiers_may_do_without():
    """From R3 on the configuration must name a certificate; without one everybody is admitted as ``none``."""
    stage = Admit("heart", Tier.R2, None, release=RELEASE)
    assert stage.check(caller(), "", NOW) == "none"
    assert stage.status(NOW)["state"] == "none"

    def use_case(tier, **more):
        route = OpenInferenceRoute(protocol="open-inference", model="heart")
        upstreams = {"main": Upstream(url="http://127.0.0.1:1")}
        return UseCase(tier=tier, purposes=["triage"], routes=[route], upstreams=upstreams, **more)

    for tier in (Tier.R1, Tier.R2):
        assert not use_case(tier).lacks_certificate
    for tier in (Tier.R3, Tier.R4, Tier.R0):
        assert use_case(tier).lacks_certificate
    named = Admission(certificate="c", trusted_keys=[KEY.public.hex])
    assert not use_case(Tier.R4, admission=named).lacks_certificate
