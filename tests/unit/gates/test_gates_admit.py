from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from roadworthy.base.digest import digest_of
from roadworthy.domain.certificate import CERTIFICATE_AUTHORITY
from roadworthy.domain.evidence import STATEMENT_MEDIA_TYPE
from roadworthy.gates.admit import admit
from roadworthy.gates.envelope import _Parcel, read_letter
from unit.gates.gates_world import (
    AT,
    CONTROL,
    DAY,
    RELEASE,
    TRUST,
    attestation,
    criterion,
    envelope,
    observation,
    run,
    seal,
    sealed,
    statement,
)

MINUTE = timedelta(minutes=1)


def verdict(each):
    admission = admit([each], TRUST, at=AT, use_case_id="triage")
    assert len(admission.admitted) + len(admission.refused) == 1
    return admission.refused[0].reason if admission.refused else None


def test_a_signed_statement_is_admitted_with_its_signers():
    """What a registered producer signed comes back as evidence."""
    each = run(criterion(), index=7)
    (admitted,) = admit([each, each], TRUST, at=AT, use_case_id="triage").admitted
    assert (admitted.sealed, admitted.evidence, admitted.signers) == (each, observation(criterion()), ("inspector",))


def test_order_is_that_of_the_ledger():
    """The order in which envelopes are given does not matter."""
    pair = [run(criterion(), index=2), run(criterion("T2"), index=1)]
    found = admit(pair, TRUST, at=AT, use_case_id="triage")
    assert [each.sealed.index for each in found.admitted] == [1, 2]
    assert found == admit(reversed(pair), TRUST, at=AT, use_case_id="triage")


def test_bytes_that_do_not_match_their_digest_are_refused():
    """A decision names digests, so a wrong one is a wrong record."""
    assert "digest" in verdict(replace(run(criterion()), digest=digest_of("other")))


def test_a_broken_signature_is_refused_with_its_reason():
    """What does not verify is reported, not raised."""
    assert verdict(sealed({"broken": True})) == "a signature does not verify"


def test_what_is_not_an_envelope_is_refused_with_its_place():
    """Garbage is reported with where it broke."""
    assert verdict(sealed(b"garbage")) == "$: not JSON"


def test_another_media_type_is_refused():
    """A signature is no evidence."""
    assert "text/plain" in verdict(envelope("text/plain", {}))


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ([], "in-toto"),
        (statement(observation(), _type="v0"), "in-toto"),
        (statement(observation(), predicateType="other"), "predicate type"),
        (statement(observation(), predicate=[]), "lacks"),
        (statement(observation(), subject={}), "lacks"),
        (statement(observation(), subject=[]), "not the release"),
        (statement(observation(), subject=["x", {"digest": []}, {"digest": {}}]), "not the release"),
        (statement(observation(), predicate={"release_digest": RELEASE}), "lacks"),
    ],
)
def test_a_malformed_statement_is_refused(payload, why):
    """Every member of the statement is needed."""
    assert why in verdict(envelope(STATEMENT_MEDIA_TYPE, payload, "inspector"))


def test_a_second_subject_may_name_the_environment():
    """The release must be among the subjects, not alone."""
    payload = statement(observation(criterion()))
    payload["subject"].insert(0, {"name": "environment", "digest": {"sha256": "00"}})
    assert verdict(envelope(STATEMENT_MEDIA_TYPE, payload, "inspector")) is None


def test_an_instant_before_the_calendar_is_refused():
    """A well-formed instant that no UTC year stands for does not stop a decision."""
    payload = statement(observation(criterion()))
    payload["predicate"]["observed_from"] = "0001-01-01T00:00:00+14:00"
    assert "is not an instant" in verdict(envelope(STATEMENT_MEDIA_TYPE, payload, "inspector"))


def test_another_use_case_is_refused():
    """Evidence never crosses from one use case to another."""
    assert "'other'" in verdict(run(criterion(), use_case_id="other"))


@pytest.mark.parametrize("signers", [(), ("somebody",)])
def test_only_whom_it_names_may_sign(signers):
    """A registered key of somebody else does not make evidence of the inspector."""
    assert "names 'inspector'" in verdict(seal(observation(criterion()), signers=signers))


def test_the_key_of_certificates_proves_nothing_about_a_system():
    """It is on record as a producer, but evidence that it signs is refused."""
    signed = run(criterion(), producer=CERTIFICATE_AUTHORITY)
    assert "proves nothing about a system" in verdict(signed)


def test_an_attestation_is_signed_by_its_person():
    """The program that took a person's word cannot give it."""
    evidence = attestation(criterion(), producer="inspector")
    assert verdict(seal(evidence)) is None
    assert "names 'quinn'" in verdict(seal(evidence, signers=("inspector",)))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"observed_from": AT}, "backwards"),
        ({"produced_at": AT - 2 * DAY}, "before it was observed"),
    ],
)
def test_instants_must_be_in_order(changes, why):
    """Observed, then produced."""
    assert why in verdict(run(criterion(), **changes))


def test_five_minutes_of_skew_are_forgiven_and_no_more():
    """Two machines' clocks may differ a little."""
    evidence = observation(criterion())
    assert verdict(seal(evidence, received_at=evidence.produced_at - 5 * MINUTE)) is None
    assert "after it was received" in verdict(seal(evidence, received_at=evidence.produced_at - 6 * MINUTE))


def test_the_future_is_refused():
    """Nothing can have been observed after the instant of the evaluation."""
    assert verdict(run(criterion(), until=AT + 5 * MINUTE)) is None
    assert "future" in verdict(run(criterion(), until=AT + 6 * MINUTE))


def test_the_last_instant_of_the_calendar_does_not_overflow():
    """Skew is a difference, so the edge of the calendar is safe."""
    end = datetime.max.replace(tzinfo=UTC)
    found = admit([run(criterion(), until=end)], TRUST, at=end, use_case_id="triage")
    assert len(found.admitted) == 1


def test_reading_is_remembered_for_equal_payloads_only():
    """One digest with another payload is read anew: the memory cannot answer for what it has not seen."""
    each = run(criterion())

    class Turncoat:
        content = TRUST.open(each.body)

        def open(self, body):
            return self.content

    trust = Turncoat()
    kind = type(CONTROL)
    first = {"fixture": "a", "failed": True, "detail": ""}
    for payload in (first, first | {"fixture": "b"}, first):
        trust.content = type(trust.content)(payload_type="x", payload=payload, signers=())
        assert read_letter(kind, each, trust, "x").content.fixture == payload["fixture"]


def test_a_parcel_equals_only_parcels():
    """Keys of the memory never equal anything else."""
    assert _Parcel(int, "d", 1) != "d"
    assert _Parcel(int, "d", 1) != _Parcel(int, "e", 1)
