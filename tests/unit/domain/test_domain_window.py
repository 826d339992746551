"""When a window counts as monitored."""

from datetime import UTC, datetime

from roadworthy.base.codec import to_json
from roadworthy.domain.case_file import fold
from roadworthy.domain.evidence import Sealed
from roadworthy.domain.record import Record, RecordKind
from roadworthy.domain.window import MonitoredWindow, WindowEvidence, monitored, monitored_rows, recorded_checks

AT = datetime(2026, 11, 21, tzinfo=UTC)


def evidence(digest: str, check: str, *, release: str = "r1", checks: tuple[str, ...] = ("a", "b")) -> WindowEvidence:
    window = MonitoredWindow(
        name=digest,
        digest=digest,
        release_digest=release,
        checks=checks,
        harm_checks=(),
        rows_digest={"w1": "rows"}.get(digest, ""),
    )
    sealed = Sealed(index=0, received_at=AT, body=b"{}", digest="sha256:00")
    return WindowEvidence(window=window, check=check, new_harm=False, sealed=sealed)


def test_every_check_has_to_be_on_record() -> None:
    """For one release: half of it for one and half for another is not the whole."""
    halves = [evidence("w1", "a"), evidence("w1", "b", release="r2")]
    assert monitored(halves) == frozenset()
    assert recorded_checks(halves) == {("w1", "r1"): frozenset({"a"}), ("w1", "r2"): frozenset({"b"})}
    assert monitored([*halves, evidence("w1", "b"), evidence("w2", "a")]) == {"w1"}


def test_rows_are_known_once_their_window_is_monitored() -> None:
    """Not while a check is missing, nor when nobody could tell what they say."""
    assert monitored_rows([evidence("w1", "a")]) == frozenset()
    whole = [evidence(digest, check) for digest in ("w1", "w2") for check in ("a", "b")]
    assert monitored_rows(whole) == {"rows"}


def test_evidence_of_a_window_is_folded_apart() -> None:
    """The gate never sees it."""
    given = evidence("w1", "a")
    payload = {"envelope": {"any": "thing"}, "window": to_json(given.window), "check": "a", "new_harm": True}
    case = fold(
        Record(
            index=index,
            kind=RecordKind.EVIDENCE_RECORDED,
            at=AT,
            actor="inspector",
            use_case_id="road",
            subject="r1",
            payload=said,
        )
        for index, said in enumerate([payload, {"envelope": {"other": "thing"}}])
    )
    assert [(each.window, each.check, each.new_harm) for each in case.windows] == [(given.window, "a", True)]
    assert [sealed.index for sealed in case.evidence] == [1]
