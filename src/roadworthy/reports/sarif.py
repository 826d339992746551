"""The scorecard as SARIF 2.1.0, for code scanning pages. Owns the mapping of criteria to rules and of states to results.

Every criterion is a rule; every one that is neither satisfied nor not applicable is a result. A finding about a whole
system has no line of its own, so each stands at the manifest. Format: OASIS SARIF Version 2.1.0, sections 3.27, 3.49.
"""

from typing import Any

from roadworthy import __version__
from roadworthy.base.digest import digest_of
from roadworthy.domain.decision import State
from roadworthy.reports.junit import message
from roadworthy.reports.rows import Row
from roadworthy.reports.scorecard import Scorecard
from roadworthy.reports.words import proof_words, sentence

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {
    State.NOT_SATISFIED: "error",
    State.INDETERMINATE: "warning",
    State.MISSING: "warning",
    State.STALE: "warning",
    State.WAIVED: "note",
}
_FINGERPRINT = "criterion/v1"


def render_sarif(scorecard: Scorecard, *, manifest: str = "roadworthy.yaml") -> dict[str, Any]:
    """The log as plain JSON; equal scorecards give equal values.

    Args:
        scorecard: what was decided.
        manifest: path of the manifest, relative to the root of its repository.
    """
    rows = scorecard.rows
    driver = {"name": "Roadworthy", "semanticVersion": __version__, "rules": [_rule(row) for row in rows]}
    results = [
        _result(row, index, scorecard.use_case_id, manifest) for index, row in enumerate(rows) if row.state in _LEVELS
    ]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(row: Row) -> dict[str, Any]:
    sources = [f"{source.document}, {source.clause}" for source in row.sources]
    help_lines = [
        f"{sentence(proof_words(row.kind))}.",
        *(f"Accepted: {each}." for each in row.acceptance),
        *([f"Sources: {'; '.join(sources)}."] if sources else []),
    ]
    return {
        "id": row.criterion_id,
        "shortDescription": {"text": row.title},
        "help": {"text": "\n".join(help_lines)},
        "defaultConfiguration": {"level": "error"},
    }


def _result(row: Row, index: int, use_case_id: str, manifest: str) -> dict[str, Any]:
    remedies = " ".join(row.remedies[:1])
    command = f" Next: {row.command}." if row.command else ""
    result: dict[str, Any] = {
        "ruleId": row.criterion_id,
        "ruleIndex": index,
        "level": _LEVELS[row.state],
        "message": {"text": f"{message(row)} {remedies}{command}".strip()},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": manifest}, "region": {"startLine": 1}}}],
        # The same criterion of the same use case is the same problem in every run, whatever its numbers are.
        "partialFingerprints": {
            _FINGERPRINT: digest_of({"use_case_id": use_case_id, "criterion_id": row.criterion_id}).removeprefix(
                "sha256:"
            )
        },
    }
    if row.state is State.WAIVED:
        result["suppressions"] = [{"kind": "external", "status": "accepted", "justification": row.reason}]
    return result
