"""What every check must do, built in or not. Derive a test class from ``CheckSuite`` and name the check.

1. It meets every predicate on its must-pass subject.
2. It misses a predicate on its must-fail subject, so it can tell the difference.
3. It explains the must-fail subject, each finding with a remedy, and has nothing to say against the must-pass one.
4. It carries id, version, title, docstring, budget, and parameters that all have defaults.
5. What it saw is plain: finite JSON facts, and no two estimates with one name.
6. Equal subjects and seeds give equal verdicts.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.codec import to_json
from roadworthy.domain.criterion import Predicate, Verdict, judge_all
from roadworthy.kit.check import AnyCheck, Observation, Run
from roadworthy.kit.context import CheckContext

_SEED = 20_261_121


class CheckSuite(ABC):
    """The suite; derived classes name the check, its predicates and a context."""

    @abstractmethod
    def check(self) -> AnyCheck:
        """A new instance."""

    @abstractmethod
    def predicates(self) -> Sequence[Predicate]:
        """What a criterion would ask of it."""

    @abstractmethod
    def context(self) -> CheckContext:
        """A context with an empty working folder, a quality and a target that nobody calls."""

    def observe(self, *, good: bool) -> Observation:
        """What the check sees in its own fixture."""
        check, context = self.check(), self.context()
        run = Run(at=context.at, seed=_SEED, cancelled=lambda: False)
        with check.must_pass(context) if good else check.must_fail(context) as subject:
            return check.observe(subject, check.params(), run)

    def test_1_it_meets_every_predicate_on_its_must_pass_subject(self) -> None:
        """A check that fails everything is no check."""
        seen = self.observe(good=True)
        assert judge_all(self.predicates(), seen.estimates) is Verdict.MET, seen.estimates

    def test_2_it_misses_a_predicate_on_its_must_fail_subject(self) -> None:
        """A check that has never failed is not evidence."""
        seen = self.observe(good=False)
        assert judge_all(self.predicates(), seen.estimates) is Verdict.NOT_MET, seen.estimates

    def test_3_it_explains_what_is_wrong_and_only_that(self) -> None:
        """Each finding says what happened and what to do."""
        bad, good = self.check().explain(self.observe(good=False)), self.check().explain(self.observe(good=True))
        assert bad
        assert all(finding.what.strip() and finding.remedy.strip() for finding in bad)
        assert good == ()

    def test_4_it_describes_itself(self) -> None:
        """Users read these words; parameters can be left out."""
        check = self.check()
        assert "." in check.id
        assert check.version >= 1
        assert check.title
        assert type(check).__doc__
        assert check.budget_s > 0
        assert check.must_fail_because
        assert all(field.default is not dataclasses.MISSING for field in dataclasses.fields(check.params))

    def test_5_what_it_saw_is_plain(self) -> None:
        """Facts have a canonical form, and a metric is named once for each cohort."""
        seen = self.observe(good=False)
        assert canonical_bytes(to_json(seen.facts))
        names = [(estimate.metric, estimate.cohort) for estimate in seen.estimates]
        assert len(names) == len(set(names))

    def test_6_equal_subjects_give_equal_verdicts(self) -> None:
        """The seed decides every random choice."""
        verdicts = {judge_all(self.predicates(), self.observe(good=False).estimates) for _ in range(2)}
        assert len(verdicts) == 1
