"""What a check is. Owns the base class and what it returns; running and signing belong to ``actions``.

A check that has never failed is not evidence. So a check measures a *subject*, and brings three of them: the real one,
one that it must pass and one that it must fail. ``observe`` cannot tell them apart; the runner measures the must-fail
subject in the same run, and a run whose control did not fail proves nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

from roadworthy.domain.criterion import Estimate
from roadworthy.domain.evidence import Finding
from roadworthy.domain.use_case import Part
from roadworthy.kit.context import CheckContext

SubjectT = TypeVar("SubjectT")
ParamsT = TypeVar("ParamsT")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedFile:
    """A file that goes with the evidence."""

    name: str
    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a check saw.

    Attributes:
        estimates: the numbers that predicates read, and any others worth keeping.
        facts: small plain-JSON tables for a person.
        attachments: files.
    """

    estimates: tuple[Estimate, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    attachments: tuple[AttachedFile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The run at hand, as the check sees it.

    Attributes:
        at: the one instant of this inspection.
        seed: of every random choice.
        cancelled: becomes true when the run should stop; long loops ask it at least every second.
    """

    at: datetime
    seed: int
    cancelled: Callable[[], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How a check takes part when production is monitored window by window.

    Attributes:
        harm: whether a bound that is missed is harm, which closes an open gate; otherwise it opens an investigation.
        labels: whether it needs true outcomes; a window without any is then not its business.
    """

    harm: bool
    labels: bool = False


class Check(ABC, Generic[SubjectT, ParamsT]):
    """One check, in one file.

    Class attributes:
        id: ``family.name``.
        version: raised whenever the meaning of its numbers changes.
        title: what it does, for people.
        reads: parts of the subject that it reads; their digests go into the evidence.
        alone: whether it needs the machine for itself, as load tests do.
        budget_s: longest run, in seconds, before it is terminated.
        params: the frozen dataclass of its parameters, every one with a default and a unit in its name.
        must_fail_because: what is wrong with the must-fail subject, for people.
        watch: how it takes part when production is monitored, its production set replaced by the window; None when not.
    """

    id: ClassVar[str]
    version: ClassVar[int]
    title: ClassVar[str]
    reads: ClassVar[frozenset[Part]]
    alone: ClassVar[bool] = False
    budget_s: ClassVar[float]
    params: ClassVar[type]
    must_fail_because: ClassVar[str]
    watch: ClassVar[Watch | None] = None

    @abstractmethod
    def subject(self, context: CheckContext) -> AbstractContextManager[SubjectT]:
        """The real thing. Raises InputError when the manifest does not name what the check needs."""

    @abstractmethod
    def must_pass(self, context: CheckContext) -> AbstractContextManager[SubjectT]:
        """A subject that is known to be good; used by tests."""

    @abstractmethod
    def must_fail(self, context: CheckContext) -> AbstractContextManager[SubjectT]:
        """A subject that is known to be bad; measured in every run."""

    @abstractmethod
    def observe(self, subject: SubjectT, params: ParamsT, run: Run) -> Observation:
        """Measure a subject. Deterministic for one subject and seed, as far as its nature allows."""

    @abstractmethod
    def explain(self, observation: Observation) -> tuple[Finding, ...]:
        """What is wrong, in words, and the remedy; empty when nothing is."""


AnyCheck = Check[Any, Any]
