"""The scorecard as JUnit XML, for the test page of a CI system. Owns the mapping of seven states to its four results.

===============================  =======
state                            result
===============================  =======
satisfied, not applicable        passed
not satisfied                    failure
missing, stale, cannot tell      error
waived                           skipped
===============================  =======

One suite per area, one case per criterion. The schema is the one that CI systems read in practice; XML 1.0 forbids most
control characters, so they are replaced.
"""

import re
from xml.etree import ElementTree as ET

from roadworthy.base.clock import format_instant
from roadworthy.domain.decision import State
from roadworthy.reports.rows import DomainCard, Row
from roadworthy.reports.scorecard import Scorecard

_RESULT = {
    State.NOT_SATISFIED: "failure",
    State.MISSING: "error",
    State.STALE: "error",
    State.INDETERMINATE: "error",
    State.WAIVED: "skipped",
}
_KINDS = ("failure", "error", "skipped")
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DECIMALS = 3


def render_junit(scorecard: Scorecard) -> str:
    """The XML document, UTF-8; equal scorecards give equal bytes."""
    root = ET.Element("testsuites", _counts(scorecard.rows) | {"name": f"roadworthy {scorecard.use_case_id}"})
    for card in scorecard.domains:
        _suite(root, card, scorecard)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: ET.Element, card: DomainCard, scorecard: Scorecard) -> None:
    attributes = {"name": card.title, "timestamp": format_instant(scorecard.decided_at)}
    suite = ET.SubElement(root, "testsuite", attributes | _counts(card.rows))
    for row in card.rows:
        name = _clean(f"{row.criterion_id} {row.title}")
        class_name = f"roadworthy.{scorecard.use_case_id}.{card.domain.value}"
        case = ET.SubElement(
            suite, "testcase", {"name": name, "classname": class_name, "time": f"{row.observed_s or 0:.{_DECIMALS}f}"}
        )
        if row.state in _RESULT:
            result = ET.SubElement(case, _RESULT[row.state], {"message": _clean(message(row)), "type": row.state.value})
            result.text = _clean("\n".join((row.reason, *row.remedies, *([row.command] if row.command else []))))


def message(row: Row) -> str:
    """What is wrong, in one line: the state, the number against its bound, what was found."""
    figure = f"{row.figure.name} {row.figure.text}, {row.figure.bound_text}" if row.figure is not None else row.said
    return ". ".join(part.rstrip(".") for part in (row.state_word, figure, row.detail) if part) + "."


def _counts(rows: tuple[Row, ...]) -> dict[str, str]:
    results = [_RESULT.get(row.state) for row in rows]
    counts = {"tests": len(rows), **{f"{kind}s" if kind != "skipped" else kind: results.count(kind) for kind in _KINDS}}
    seconds = sum(row.observed_s or 0.0 for row in rows)
    return {name: str(count) for name, count in counts.items()} | {"time": f"{seconds:.{_DECIMALS}f}"}


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
