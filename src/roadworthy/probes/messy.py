"""Send messy inputs and judge what comes back. Owns the four verdicts; the cases belong to ``messy_cases``.

How an answer is judged, in this order:
1. No whole answer in time: **hung**.
2. No answer, a status of 500 or more, another status outside 200 and 4xx, or a body that is not JSON: **crashed**.
3. An answer of a kind that the case declares acceptable: **handled**.
4. Anything else - a confident answer to an impossible input, one with another number of rows, or one that breaks the
   protocol: **silent**, since the caller would take it for a result.

How a target says that it is undecided (a *flag*), with status 200: a null among the values of an output; a text output
with one of ``FLAG_WORDS``; or one of them as a true parameter of the answer or of an output, or as the name of a true
BOOL output.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from roadworthy.base.errors import TargetAnswer, TargetUnreachable
from roadworthy.probes.http import Answer, parse_json, timed_out
from roadworthy.probes.messy_cases import Acceptable, MessyCase
from roadworthy.probes.open_inference import Inference, OpenInference, Tensor, read_inference

FLAG_WORDS = frozenset({"undecided", "flagged", "abstained", "invalid", "out_of_range", "refused"})
_OK = 200
_REJECTED = range(400, 500)


class Verdict(StrEnum):
    """How a target took a messy input."""

    HANDLED = "handled"
    CRASHED = "crashed"
    SILENT = "silent"
    HUNG = "hung"


@dataclass(frozen=True, slots=True, kw_only=True)
class MessyOutcome:
    """One case and its verdict; ``status`` is None without an answer."""

    case: str
    verdict: Verdict
    status: int | None
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessyReport:
    """All cases.

    Attributes:
        outcomes: in the order of the cases.
        alive_after: whether the good row still got its answer when everything was over.
    """

    outcomes: tuple[MessyOutcome, ...]
    alive_after: bool

    @property
    def handled_share(self) -> float:
        """Share of the cases that were handled, in [0, 1]; 0 without cases."""
        return self.count(Verdict.HANDLED) / len(self.outcomes) if self.outcomes else 0.0

    def count(self, verdict: Verdict) -> int:
        """How many cases got a verdict."""
        return sum(outcome.verdict is verdict for outcome in self.outcomes)


def run_messy(model: OpenInference, good: MessyCase, cases: Sequence[MessyCase]) -> MessyReport:
    """Send the good row, then every case, then the good row again.

    A target that rejects everything would handle every messy case; the good row at the start refuses to call that sound.

    Args:
        model: the target; its ``timeout_s`` is when a case counts as hung.
        good: from ``messy_cases.good_case``.
        cases: from ``messy_cases.messy_cases``.

    Raises:
        TargetUnreachable: no answer to the good row at the start (RW-401).
        TargetAnswer: no plain answer to the good row at the start (RW-402).
    """
    before = _judge(good, model.post(good.content, good.content_type), model.infer_url)
    if before.verdict is not Verdict.HANDLED:
        raise TargetAnswer(
            f"The good row got no plain answer: {before.detail}",
            remedy="Give example rows that the model takes.",
            where=model.infer_url,
        )
    outcomes = tuple(_send(model, case) for case in cases)
    return MessyReport(outcomes=outcomes, alive_after=_send(model, good).verdict is Verdict.HANDLED)


def _send(model: OpenInference, case: MessyCase) -> MessyOutcome:
    try:
        answer = model.post(case.content, case.content_type)
    except TargetUnreachable as error:
        verdict = Verdict.HUNG if timed_out(error) else Verdict.CRASHED  # steps 1 and 2
        return MessyOutcome(case=case.id, verdict=verdict, status=None, detail=error.what)
    except TargetAnswer as error:  # not even HTTP
        return MessyOutcome(case=case.id, verdict=Verdict.CRASHED, status=None, detail=error.what)
    return _judge(case, answer, model.infer_url)


def _judge(case: MessyCase, answer: Answer, where: str) -> MessyOutcome:
    def outcome(verdict: Verdict, detail: str) -> MessyOutcome:
        return MessyOutcome(case=case.id, verdict=verdict, status=answer.status, detail=detail)

    if answer.status != _OK and answer.status not in _REJECTED:  # step 2
        return outcome(Verdict.CRASHED, f"status {answer.status}")
    try:
        body = parse_json(answer, where)
    except TargetAnswer as error:
        return outcome(Verdict.CRASHED, error.what)
    if answer.status in _REJECTED:  # step 3
        if not isinstance(body, dict):
            return outcome(Verdict.CRASHED, "rejected without a JSON object that says why")
        verdict = Verdict.HANDLED if Acceptable.REJECT in case.acceptable else Verdict.SILENT
        return outcome(verdict, f"rejected with {answer.status}")
    try:
        inference = read_inference(answer, where)
    except TargetAnswer as error:
        return outcome(Verdict.SILENT, error.what)  # step 4
    return _judge_inference(case, inference, answer.status)


def _judge_inference(case: MessyCase, inference: Inference, status: int) -> MessyOutcome:
    if is_flagged(inference):
        kind, detail = Acceptable.FLAG, "answered as undecided"
    else:
        kind, detail = Acceptable.ANSWER, "answered with confidence"
    counts = {each.shape[0] if each.shape else 1 for each in inference.outputs}
    if kind is Acceptable.ANSWER and counts != {case.rows}:
        detail = f"answered {sorted(counts)} rows to {case.rows}"
        return MessyOutcome(case=case.id, verdict=Verdict.SILENT, status=status, detail=detail)
    verdict = Verdict.HANDLED if kind in case.acceptable else Verdict.SILENT
    return MessyOutcome(case=case.id, verdict=verdict, status=status, detail=detail)


def is_flagged(inference: Inference) -> bool:
    """Whether an answer says that it is undecided; see the module for the ways to say so."""
    if any(inference.parameters.get(word) for word in FLAG_WORDS):
        return True
    return any(_tensor_is_flagged(each) for each in inference.outputs)


def _tensor_is_flagged(tensor: Tensor) -> bool:
    if None in tensor.data or any(tensor.parameters.get(word) for word in FLAG_WORDS):
        return True
    if tensor.datatype == "BOOL":
        return tensor.name in FLAG_WORDS and any(tensor.data)
    return any(isinstance(value, str) and value.lower() in FLAG_WORDS for value in tensor.data)
