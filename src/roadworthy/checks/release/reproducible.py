"""The same request gets the same answer."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from roadworthy.base.errors import TargetAnswer
from roadworthy.checks.scoring import feature_rows, target_model
from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Check, Observation, Run
from roadworthy.kit.context import CheckContext
from roadworthy.kit.params import higher, lower
from roadworthy.measure.table import open_table
from roadworthy.probes.http import encode_json
from roadworthy.probes.open_inference import OpenInference, infer_body, tensors_of
from roadworthy.probes.replay.player import replay
from roadworthy.probes.replay.sampler import choose
from roadworthy.probes.stand_in import Manner, good_body, stand_in
from roadworthy.stats.proportions import clopper_pearson


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """What may be tightened.

    Attributes:
        requests: how many are replayed.
        band: largest difference of two numbers that still counts as the same, in the answer's own unit.
    """

    requests: int = higher(100)
    band: float = lower(0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model and the requests to replay."""

    model: OpenInference
    bodies: Sequence[bytes]


class ReproducibleCheck(Check[Subject, Params]):
    """Play requests made from production rows twice, the second time in reverse order, and compare the bytes."""

    id: ClassVar[str] = "release.reproducible"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Reproducible output"
    reads: ClassVar[frozenset[Part]] = frozenset({Part.PRODUCTION_DATA})
    budget_s: ClassVar[float] = 120.0
    params: ClassVar[type] = Params
    must_fail_because: ClassVar[str] = "an endpoint that answers differently each time"

    @contextmanager
    def subject(self, context: CheckContext) -> Iterator[Subject]:
        """The declared target and single-row requests from the production feed."""
        source = context.data["production"]
        model = target_model(context)
        metadata = model.metadata()
        rows = feature_rows(open_table(source.pattern), source)
        columns = list(source.features)
        bodies = [encode_json(infer_body(tensors_of(metadata, [row], columns=columns))) for row in rows]
        yield Subject(model=model, bodies=bodies)

    @contextmanager
    def must_pass(self, context: CheckContext) -> Iterator[Subject]:
        """A stand-in that always answers the same."""
        with stand_in(Manner.SOUND) as it:
            yield Subject(model=OpenInference(it.model_url), bodies=[good_body()] * 100)

    @contextmanager
    def must_fail(self, context: CheckContext) -> Iterator[Subject]:
        """A stand-in with moods."""
        with stand_in(Manner.MOODY) as it:
            yield Subject(model=OpenInference(it.model_url), bodies=[good_body()] * 100)

    def observe(self, subject: Subject, params: Params, run: Run) -> Observation:
        """Replay, and count pairs of equal answers."""

        def send(body: bytes) -> bytes:
            answer = subject.model.post(body)
            if answer.status >= 500:  # a rejected row is an answer; a failing server is none
                raise TargetAnswer(
                    f"Status {answer.status} to a replayed request.", remedy="Look into the target's log."
                )
            return answer.content

        report = replay(send, choose(subject.bodies, params.requests, run.seed), band=params.band)
        same = report.equal + report.within_band
        return Observation(
            estimates=(Estimate(metric="replay_equal_share", interval=clopper_pearson(same, report.n)),),
            facts={
                "replayed": report.n,
                "equal bytes": report.equal,
                "within the band": report.within_band,
                "different": len(report.differing),
                "worst difference": report.worst_difference
                if report.worst_difference < float("inf")
                else "not numeric",
            },
        )

    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """How many answers differ."""
        facts = observation.facts
        if not facts["different"]:
            return ()
        return (
            Finding(
                what=f"{facts['different']} of {facts['replayed']} answers differ when the request is repeated.",
                remedy="Fix seeds, batching and caches, or declare an equivalence band and tell users about it.",
            ),
        )
