"""Callers before, during and after the death of the model. Owns their questions and the count of what came back.

Callers ask for one patient of the pilot clinic at a time, one after another, each on a connection of its own. Every answer
is kept with its record. What the ledger says of the same questions is compared by ``reconcile``.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from itertools import cycle
from pathlib import Path

import pyarrow.parquet as pq

from roadworthy.base.clock import monotonic_s
from roadworthy.base.errors import TargetError, TargetUnreachable
from roadworthy.demo.measurements import FEATURES
from roadworthy.domain.exchange import LeafKind, RungKind
from roadworthy.ledger.leaf import Leaf
from roadworthy.probes.crew import Crew
from roadworthy.probes.http import Endpoint, encode_json, read_headers
from roadworthy.probes.open_inference import RUNG_HEADER

CALLERS = 3
_OK = 200
_TIMEOUT_S = 10.0
_PAUSE_S = 0.02
_WAIT_S = 20.0


class Phase(Enum):
    """When a caller asked."""

    BEFORE = "the model runs"
    WITHOUT = "the model is away"
    AFTER = "the model is back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One answer, or none.

    Attributes:
        phase: in which it was asked.
        status: of HTTP; 0 when there was no answer.
        rung: fallback that answered; "" when it was the model, or nobody.
        notice: what the caller was told.
        record: id of the exchange.
        index: of the record of its end in the ledger; -1 when none was told.
        took_ms: from before the connection to the last byte.
        body: as it came.
    """

    phase: Phase
    status: int
    rung: str = ""
    notice: str = ""
    record: str = ""
    index: int = -1
    took_ms: float = 0.0
    body: bytes = b""


class Callers(Crew):
    """Callers in the background.

    Args:
        url: of the model at the gateway.
        headers: file with a caller's key.
        pilot: Parquet file of the patients.

    Attributes:
        phase: that what is asked next belongs to.
    """

    def __init__(self, url: str, headers: Path, pilot: Path) -> None:
        bodies = bodies_of(pilot)
        super().__init__(
            [partial(self._ask_next, cycle(bodies[number::CALLERS])) for number in range(CALLERS)], _PAUSE_S
        )
        self.phase = Phase.BEFORE
        self._endpoint = Endpoint(url, read_headers(headers))
        self._answers: list[Answered] = []

    @property
    def answers(self) -> tuple[Answered, ...]:
        """Everything so far, in the order in which it came."""
        return tuple(self._answers)

    def wait_for(self, phase: Phase, count: int, *, rung: str | None = None) -> None:
        """Until so many answers of a phase are there, and of a rung if one is named ("" is the model).

        Raises:
            TargetUnreachable: not within 20 s (RW-401).
        """
        until_s = monotonic_s() + _WAIT_S
        while sum(each.phase is phase and rung in (None, each.rung) for each in self.answers) < count:
            if monotonic_s() > until_s:
                remedy = "Look into gateway.log and server.log."
                raise TargetUnreachable(f"The callers got too few answers while {phase.value}.", remedy=remedy)
            time.sleep(_PAUSE_S)

    def _ask_next(self, bodies: Iterator[bytes]) -> None:
        self._answers.append(self._ask(next(bodies)))

    def _ask(self, body: bytes) -> Answered:
        phase = self.phase
        try:
            found = self._endpoint.exchange("POST", "/infer", body, _TIMEOUT_S)
        except TargetError:
            return Answered(phase=phase, status=0)
        return Answered(
            phase=phase,
            status=found.status,
            rung=found.headers.get(RUNG_HEADER, ""),
            notice=found.headers.get("x-roadworthy-notice", ""),
            record=found.headers.get("x-roadworthy-record", ""),
            index=int(found.headers.get("x-roadworthy-index", "-1")),
            took_ms=found.elapsed_s * 1000,
            body=found.content,
        )


def bodies_of(pilot: Path) -> list[bytes]:
    """One request for each patient."""
    table = pq.read_table(pilot, columns=list(FEATURES))
    return [
        encode_json(
            {
                "inputs": [
                    {"name": "features", "datatype": "FP64", "shape": [1, len(FEATURES)], "data": list(row.values())}
                ]
            }
        )
        for row in table.to_pylist()
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseCount:
    """What callers got in one phase.

    Attributes:
        phase: which.
        asked: how many questions.
        by_model: answered by the model.
        by_fallback: answered by a fallback, and told so.
        refused: told that there is no answer.
        unanswered: got nothing at all.
        slowest_ms: of the answers.
    """

    phase: Phase
    asked: int
    by_model: int
    by_fallback: int
    refused: int
    unanswered: int
    slowest_ms: float


def count_phases(answers: Sequence[Answered]) -> tuple[PhaseCount, ...]:
    """The answers, counted by phase."""
    return tuple(_count(phase, [each for each in answers if each.phase is phase]) for phase in Phase)


def _count(phase: Phase, answers: Sequence[Answered]) -> PhaseCount:
    good = [each for each in answers if each.status == _OK]
    silent = sum(each.status == 0 for each in answers)
    return PhaseCount(
        phase=phase,
        asked=len(answers),
        by_model=sum(not each.rung for each in good),
        by_fallback=sum(bool(each.rung and each.notice) for each in good),
        refused=len(answers) - len(good) - silent,
        unanswered=silent,
        slowest_ms=max((each.took_ms for each in answers), default=0.0),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What callers hold against what the ledger says.

    Attributes:
        answers: that callers got.
        recorded: of them, those with exactly one intent, one outcome after it, and the same status and rung as the caller.
    """

    answers: int
    recorded: int


def reconcile(answers: Iterable[Answered], leaves: Sequence[Leaf]) -> Reconciled:
    """Compare every answer with its two leaves.

    Args:
        answers: of the callers.
        leaves: of the verified ledger, by index.
    """
    by_record: dict[str, list[tuple[int, Leaf]]] = {}
    for index, leaf in enumerate(leaves):
        by_record.setdefault(leaf.base.subject, []).append((index, leaf))
    got = [each for each in answers if each.status]
    return Reconciled(answers=len(got), recorded=sum(_agrees(each, by_record.get(each.record, [])) for each in got))


def _agrees(answer: Answered, found: Sequence[tuple[int, Leaf]]) -> bool:
    if [leaf.base.kind for _, leaf in found] != [LeafKind.INTENT.value, LeafKind.OUTCOME.value]:
        return False
    (intent, _), (_, outcome) = found
    rung = outcome.facts["rung"]
    same_rung = (rung != RungKind.PRIMARY.value) is bool(answer.rung) if answer.status == _OK else True
    return outcome.facts["intent"] == intent and outcome.facts["status"] == answer.status and same_rung
