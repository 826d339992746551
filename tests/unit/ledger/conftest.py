"""Fixtures of the ledger's tests: a ledger that holds, and both verifiers side by side."""

from collections.abc import Callable
from typing import Any

import pytest
from ledger_story import ALICE, PRODUCER, LedgerStory, envelope

import second_verifier
from roadworthy.ledger.verify import Report, verify_bytes


@pytest.fixture
def story() -> LedgerStory:
    """A ledger that holds: two keys, evidence, a signature, a waiver, a plain entry, erased."""
    told = LedgerStory().register()
    told.record("evidence.recorded", {"envelope": envelope(PRODUCER)})
    told.record("signature.added", {"envelope": envelope(ALICE, kind="application/vnd.example+json", payload=b"{}")})
    told.record("waiver.requested", {"envelope": envelope(ALICE, PRODUCER)})
    told.record("policy.adopted", {"envelope": None})
    told.record("gap.assigned", {"assignment": {"owner": "alice"}})
    return told.erase(6)


@pytest.fixture(scope="session")
def second() -> Any:
    """The second verifier, as a module."""
    return second_verifier


@pytest.fixture
def both(second: Any) -> Callable[..., Report]:
    """Verify with both verifiers; they must agree on whether the bundle holds."""

    def run(data: bytes, vkey: str | None = None) -> Report:
        report = verify_bytes(data, vkey=vkey)
        objection = None
        try:
            second.verify(data, vkey)
        except Exception as error:  # noqa: BLE001  # any exception is the second verifier's word for broken
            objection = error
        assert report.holds is (objection is None), f"first: {report.problems}; second: {objection!r}"
        return report

    return run
