"""From factual answers to a risk tier. Owns the evaluation and the answers file; the questions and rules are data.

Rules kept here:
1. total: any set of answers gives a tier, the empty one too;
2. an answer that is missing or unknown counts as the worst, never as neutral;
3. monotone: a worse answer to one question never lowers the tier. R0, which blocks, is above R4.
"""

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from roadworthy.base.errors import MissingFile, TierAnswersError
from roadworthy.domain.risk import Tier
from roadworthy.kit.pack import TIERS
from roadworthy.kit.schema_problems import NOT_YAML, Problem, aliases, compose_lines, duplicate_keys, line_of, nearest
from roadworthy.packs.tier_rules import AtLeast, Question, TierRules, tier_rules

UNKNOWN = "unknown"
_NO_ANSWER = ("This is no answer.", "Write Q1: no, or Q1: {answer: no, link: URL}.")
_TEMPLATE_HEAD = """\
# What decides the risk tier: facts, not judgements. Allowed answers stand from the mildest to the
# worst; unknown counts as the worst. Link the evidence where there is some:
#   Q1: {answer: no, link: https://example.org/legal-review}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer.

    Attributes:
        value: one of the question's answers, or ``unknown``.
        link: where the evidence for it is; None when none was given.
    """

    value: str
    link: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A rule that applied, the tier that it asked for, and why."""

    rule: str
    tier: Tier
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Obligation:
    """Something to be done that the answers bring about."""

    id: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """The tier of a use case.

    Attributes:
        tier: R0 blocks; otherwise R1 to R4.
        reasons: every rule that applied, the most severe first; never empty.
        obligations: what the answers bring about beside the tier.
        unanswered: questions that counted as their worst answer because nobody answered them.
    """

    tier: Tier
    reasons: tuple[Reason, ...]
    obligations: tuple[Obligation, ...]
    unanswered: tuple[str, ...]


def classify(answers: Mapping[str, Answer]) -> Classification:
    """Compute the tier.

    1. what is not answered counts as the worst;
    2. the tier is the highest that a rule or a matrix asks for;
    3. what changes in use goes one tier up, at most to R4;
    4. what may not be at that tier is blocked;
    5. obligations follow from the answers alone.

    Raises:
        TierAnswersError: an unknown question, or an answer that it does not have (RW-116).
    """
    rules = tier_rules()
    _require_valid(rules, answers)
    # 1
    unanswered = tuple(q.id for q in rules.questions if q.id not in answers or answers[q.id].value == UNKNOWN)
    levels = {q.id: q.answers[-1] if q.id in unanswered else answers[q.id].value for q in rules.questions}
    facts = _Facts(rules=rules, levels=levels, unanswered=frozenset(unanswered))
    # 2
    reasons = [*facts.rule_reasons(), *facts.matrix_reasons()]
    # 3
    reasons.extend(facts.raise_reasons(_highest(reasons)))
    # 4
    reasons.extend(facts.block_reasons(_highest(reasons)))
    # 5
    obligations = tuple(
        Obligation(id=each.id, what=each.what)
        for each in rules.obligations
        if all(levels[name] in accepted for name, accepted in each.given.items())
    )
    return Classification(
        tier=_highest(reasons),
        reasons=tuple(sorted(reasons, key=lambda reason: -reason.tier.rank)),
        obligations=obligations,
        unanswered=unanswered,
    )


def load_answers(path: Path) -> dict[str, Answer]:
    """Read an answers file: ``Q1: no``, or ``Q1: {answer: no, link: URL}``.

    Raises:
        MissingFile: the file does not exist or cannot be opened (RW-102).
        TierAnswersError: not a mapping, unknown questions or answers; all problems are listed (RW-116).
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        what = f"The tier answers cannot be read: {error.strerror}."
        raise MissingFile(
            what, remedy="Check the path, or write the file with roadworthy init.", where=str(path)
        ) from error
    except UnicodeDecodeError as error:
        raise TierAnswersError("The file is not UTF-8.", remedy="Save it as UTF-8.", where=path.name) from error
    answers, problems = _read(text, path.name)
    if problems:
        listed = "\n".join(f"  {problem}" for problem in sorted(problems))
        raise TierAnswersError(
            f"{len(problems)} problem(s) in {path.name}:\n{listed}", remedy="Correct the lines above.", where=path.name
        )
    return answers


def template() -> str:
    """An answers file to fill in: every question with its allowed answers, none answered yet."""
    blocks = [_TEMPLATE_HEAD]
    for question in tier_rules().questions:
        comment = textwrap.fill(question.text, width=100, initial_indent="# ", subsequent_indent="# ")
        blocks.append(f"{comment}\n#   {' | '.join(question.answers)}\n{question.id}: {UNKNOWN}\n")
    return "\n".join(blocks)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """The rules, and what each question was taken to be."""

    rules: TierRules
    levels: Mapping[str, str]
    unanswered: frozenset[str]

    def rule_reasons(self) -> Iterator[Reason]:
        for rule in self.rules.rules:
            if self._applies(rule.when):
                yield Reason(rule=rule.id, tier=rule.tier, why=self._why(rule.why, rule.when))

    def matrix_reasons(self) -> Iterator[Reason]:
        for matrix in self.rules.matrices:
            if self._applies(matrix.when):
                tier = matrix.tiers[self.levels[matrix.rows]][self.levels[matrix.columns]]
                asked = (*matrix.when, matrix.rows, matrix.columns)
                yield Reason(rule=matrix.id, tier=tier, why=self._why(matrix.why, asked))

    def raise_reasons(self, tier: Tier) -> Iterator[Reason]:
        for each in self.rules.raises:
            # R0 is the worst already, and nothing is raised from R4 into it.
            if self._applies(each.when) and tier in TIERS[:-1]:
                above = TIERS[TIERS.index(tier) + 1]
                yield Reason(rule=each.id, tier=above, why=self._why(each.why, each.when))

    def block_reasons(self, tier: Tier) -> Iterator[Reason]:
        for each in self.rules.blocks:
            if self._applies(each.when) and tier.at_least(each.at_tier):
                yield Reason(rule=each.id, tier=Tier.R0, why=self._why(each.why, each.when))

    def _applies(self, when: AtLeast) -> bool:
        return all(
            _rank(self.rules.question(name), self.levels[name]) >= _rank(self.rules.question(name), least)
            for name, least in when.items()
        )

    def _why(self, why: str, asked: AtLeast | tuple[str, ...]) -> str:
        assumed = sorted(set(asked) & self.unanswered, key=lambda name: int(name[1:]))
        return f"{why} Not answered, so taken at its worst: {', '.join(assumed)}." if assumed else why


def _rank(question: Question, answer: str) -> int:
    return question.answers.index(answer)


def _highest(reasons: list[Reason]) -> Tier:
    return max((reason.tier for reason in reasons), key=lambda tier: tier.rank)


def _require_valid(rules: TierRules, answers: Mapping[str, Answer]) -> None:
    for name, answer in answers.items():
        problem = _wrong(rules, name, answer.value)
        if problem is not None:
            raise TierAnswersError(problem[0], remedy=problem[1], where=name)


def _wrong(rules: TierRules, name: str, value: str) -> tuple[str, str] | None:
    """What is wrong with one answer, and the remedy."""
    known = {question.id: question for question in rules.questions}
    if name not in known:
        return f"Unknown question {name!r}.", nearest(name, [*known])
    if value != UNKNOWN and value not in known[name].answers:
        return f"{value!r} is no answer to {name}.", f"Allowed: {', '.join((*known[name].answers, UNKNOWN))}."
    return None


def _read(text: str, name: str) -> tuple[dict[str, Answer], list[Problem]]:
    try:
        lines, repeated = compose_lines(text), aliases(text)
        twice = [*repeated, *duplicate_keys(text)]
        content = {} if repeated else yaml.safe_load(text)
    except NOT_YAML as error:
        what = f"This is not YAML: {' '.join(str(error).split())}."
        raise TierAnswersError(what, remedy="Correct its syntax and indentation.", where=name) from error
    if not isinstance(content, dict | None):
        raise TierAnswersError("The file is no mapping.", remedy="Write lines such as Q1: no.", where=name)
    answers: dict[str, Answer] = {}
    problems = list(twice)
    for key, value in (content or {}).items():
        answer = _answer(value)
        found = _NO_ANSWER if answer is None else _wrong(tier_rules(), str(key), answer.value)
        if answer is None or found is not None:
            what, remedy = found or _NO_ANSWER
            problems.append(Problem(line_of(lines, (str(key),)), str(key), what, remedy))
        else:
            answers[str(key)] = answer
    return answers, problems


def _answer(value: Any) -> Answer | None:
    """An answer from its YAML form; None when it has none. YAML reads a bare yes and no as booleans."""
    link = None
    if isinstance(value, dict):
        if not {"answer"} <= set(value) <= {"answer", "link"}:
            return None
        value, link = value["answer"], value.get("link")
    if isinstance(value, bool):
        value = "yes" if value else "no"
    if value is None:
        value = UNKNOWN
    if not isinstance(value, str) or not isinstance(link, str | None):
        return None
    return Answer(value=value, link=link)
