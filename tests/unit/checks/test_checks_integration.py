"""Transactions: the declared file becomes the subject, and an answer past the gateway does not count."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roadworthy.base.errors import ManifestError
from roadworthy.checks.integration.end_to_end import EndToEndCheck
from roadworthy.kit.check import Run
from roadworthy.kit.context import CheckContext, Gateway
from roadworthy.probes.answering import answering
from roadworthy.probes.http_server import Asked

AT = datetime(2026, 11, 21, tzinfo=UTC)
DECLARED = {
    "transactions": 1,
    "items": [{"name": "letter", "path": "/score", "body": {"id": "{{tag}}"}, "arrives": [{"answer": "/id"}]}],
}


def context(folder: Path, url: str = "", transactions: Path | None = None) -> CheckContext:
    """A use case with a gateway that serves there."""
    gateway = Gateway(config=folder / "gateway.yaml", use_case="heart", url=url, transactions=transactions)
    return CheckContext(
        use_case_id="heart", title="", intended_use="", root=folder, files={}, recorded={},
        data={}, target=None, quality=None, at=AT, seed=1, workdir=folder, gateway=gateway,
    )  # fmt: skip


def respond(asked: Asked) -> tuple[int, bytes]:
    """Give back what came."""
    return 200, asked.body


def test_what_is_needed(tmp_path: Path) -> None:
    """The file, and a gateway that serves."""
    check, path = EndToEndCheck(), tmp_path / "transactions.yaml"
    path.write_text(json.dumps(DECLARED))
    with pytest.raises(ManifestError, match="transactions is not declared"):
        check.subject(context(tmp_path, "http://127.0.0.1:1")).__enter__()
    with pytest.raises(ManifestError, match="url is not declared"):
        check.subject(context(tmp_path, transactions=path)).__enter__()


@pytest.mark.parametrize(("headers", "lost"), [(b"x-roadworthy-record: r\r\n", 0), (b"", 3)])
def test_an_answer_past_the_gateway_does_not_count(tmp_path: Path, headers: bytes, lost: int) -> None:
    """It bears no record."""
    check, path = EndToEndCheck(), tmp_path / "transactions.yaml"
    path.write_text(json.dumps(DECLARED))
    with answering(respond, headers=headers) as url, check.subject(context(tmp_path, url, path)) as subject:
        run = Run(at=AT, seed=1, cancelled=lambda: False)
        seen = check.observe(subject, check.params(repeats=3, settle_s=0.0), run)
        again = check.observe(subject, check.params(repeats=1, settle_s=0.0), run)
    numbers = {estimate.metric: estimate.interval.estimate for estimate in seen.estimates}
    assert numbers == {"completed_share": 0.0 if lost else 1.0, "lost": lost, "duplicated": 0}
    assert len(check.explain(seen)) == (1 if lost else 0)
    tags = [row["tag"] for each in (seen, again) for row in each.facts["places"] if row["place"] == "answer /id"]
    assert len(set(tags)) == 4


def test_a_run_that_is_ended_sends_nothing_more(tmp_path: Path) -> None:
    """And then has nothing to show."""
    check, path = EndToEndCheck(), tmp_path / "transactions.yaml"
    path.write_text(json.dumps(DECLARED))
    with check.subject(context(tmp_path, "http://127.0.0.1:9", path)) as subject:
        seen = check.observe(subject, check.params(), Run(at=AT, seed=1, cancelled=lambda: True))
    assert [estimate.interval.n for estimate in seen.estimates] == [0, 0, 0]
