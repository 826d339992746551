"""The seven questions about a data set, each answered by a test that runs. Owns the questions and their tests.

A datasheet in prose is believed; this one is checked: files are hashed, rules are executed, links are followed. A
question counts as answered only when its test found what the contract declares.

Rules kept here: every unanswered question comes with the one thing to do; quality that is *bad* is still an answer
(another criterion judges it), quality that was not measured is none.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from roadworthy.base.clock import format_instant, parse_instant
from roadworthy.base.errors import ContractError, InstantError, MissingFile
from roadworthy.measure.quality import QualityReport, Verdict
from roadworthy.measure.rule import Contract, Limitation, Member, Source
from roadworthy.measure.table import Table, file_digest, quote, table_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One question with what its test found.

    Attributes:
        question: as a person asks it.
        answered: whether the test found what is declared.
        what: what was found.
        remedy: what to do now; "" when answered.
    """

    question: str
    answered: bool
    what: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What the questions are asked about.

    Attributes:
        table: the data, opened from files.
        contract: that describes it.
        report: an assessment of this table against this contract, made now.
        at: the instant of asking, aware.
        use_case_id: the use case that wants to use the data.
        intended_use: its intended use, word for word.
        release_data_sha256: the digest of the data in the release manifest; "" when the release names none.
    """

    table: Table
    contract: Contract
    report: QualityReport
    at: datetime
    use_case_id: str
    intended_use: str
    release_data_sha256: str


def answer_datasheet(subject: Subject) -> tuple[Answer, ...]:
    """Ask all seven questions, in their usual order.

    Raises:
        MissingFile: the data files themselves are gone (RW-102).
    """
    return tuple(ask(subject) for ask in _QUESTIONS)


def ask_origin(subject: Subject) -> Answer:
    """Where did the data come from? Every declared origin is named, and one copy at least has the declared digest."""
    question = "Where did the data come from?"
    sources = subject.contract.provenance.sources
    if not sources:
        return _open(question, "No origin is declared.", "Declare sources with origin, path and sha256.")
    problems = [problem for source in sources if (problem := _source_problem(source))]
    if problems:
        return _open(question, " ".join(problems), "Restore the file, or declare what it is now.")
    checked = [source for source in sources if source.path is not None]
    if not checked:
        return _open(question, "No origin has a path and a digest.", "Add path and sha256 to a source.")
    return _closed(question, f"{len(sources)} origins, {len(checked)} with a digest that its file has.")


def ask_author(subject: Subject) -> Answer:
    """How was it generated, and by whom? A purpose is declared and somebody with a role is in office at the instant."""
    question = "How was it generated, and by whom?"
    provenance = subject.contract.provenance
    try:
        active = [
            member for member in provenance.team if member.name and member.role and _in_office(member, subject.at)
        ]
    except InstantError as error:
        return _open(question, error.what, error.remedy)
    if not active:
        return _open(question, "Nobody with a role is in office.", "Add a team member with name and role.")
    if not provenance.purpose:
        return _open(question, "No purpose is declared.", "Write description.purpose.")
    people = ", ".join(f"{member.name} ({member.role})" for member in active)
    return _closed(question, f"{provenance.purpose.strip()} In office: {people}.")


def ask_transformations(subject: Subject) -> Answer:
    """What was done to it? Transformations are declared, and the data has the digest that they end in."""
    question = "What transformations were applied?"
    provenance = subject.contract.provenance
    columns = [item.name for item in subject.contract.fields if item.transformed]
    if not provenance.transformations and not columns:
        return _open(question, "No transformation is declared.", "Declare transformations, or write none.")
    if not provenance.output_sha256:
        return _open(question, "The result of the transformations has no digest.", "Declare outputSha256.")
    digest = table_digest(subject.table.paths)
    if digest != provenance.output_sha256:
        return _open(
            question,
            f"The data has the digest {digest[:12]}, declared is {provenance.output_sha256[:12]}.",
            "Run the transformations again, or declare the new digest.",
        )
    declared = provenance.transformations or f"of {', '.join(columns)}"
    return _closed(question, f"{declared} The result has the declared digest {digest[:12]}.")


def ask_version(subject: Subject) -> Answer:
    """Which version is in use? The contract is active and the release is built on exactly these bytes."""
    question = "Which version is currently in use?"
    contract = subject.contract
    if contract.status != "active":
        return _open(question, f"The contract is {contract.status!r}.", "Use data whose contract is active.")
    if not subject.release_data_sha256:
        return _open(question, "The release names no data digest.", "Pin the data in the release.")
    digest = table_digest(subject.table.paths)
    if digest != subject.release_data_sha256:
        return _open(
            question,
            f"The release uses {subject.release_data_sha256[:12]}, this is {digest[:12]}.",
            "Make a new release with this data, or go back to the data of the release.",
        )
    return _closed(question, f"Contract {contract.version}, data {digest[:12]}, as in the release.")


def ask_quality(subject: Subject) -> Answer:
    """What checks were performed? Every rule was run, and after this version of the contract was made."""
    question = "What quality checks were performed?"
    report, created = subject.report, subject.contract.provenance.created
    told = [result for result in report.results if result.verdict is not Verdict.UNKNOWN]
    if not told:
        return _open(question, "No rule was run.", "Give the contract rules that can be run.")
    if len(told) < len(report.results):
        missing = ", ".join(r.rule.rule_id for r in report.results if r.verdict is Verdict.UNKNOWN)
        return _open(question, f"Not told: {missing}.", "Deliver the columns that these rules read.")
    try:
        if created and report.assessed_at < parse_instant(created):
            return _open(question, f"The contract is newer ({created}) than the checks.", "Run the checks again.")
    except InstantError as error:
        return _open(question, error.what, error.remedy)
    met = sum(result.verdict is Verdict.MET for result in told)
    return _closed(
        question, f"{len(told)} rules on {report.rows} rows at {format_instant(report.assessed_at)}: {met} met."
    )


def ask_suitability(subject: Subject) -> Answer:
    """What is it suitable for? The declared uses contain this use case, by id or by its intended use."""
    question = "What is this data suitable for?"
    provenance = subject.contract.provenance
    if not provenance.usage:
        return _open(question, "No usage is declared.", "Write description.usage.")
    wanted = {_normal(subject.use_case_id), _normal(subject.intended_use)}
    if not wanted & {_normal(text) for text in provenance.suitable_for}:
        return _open(
            question,
            f"The use case {subject.use_case_id!r} is not among the declared uses.",
            "Let the data owner add it to suitableFor, or use other data.",
        )
    return _closed(question, f"{provenance.usage.strip()} This use case is among the declared uses.")


def ask_limitations(subject: Subject) -> Answer:
    """What are its limits? They are declared, and each is watched by a rule that ran or a slice that has rows."""
    question = "What limitations should be considered?"
    provenance = subject.contract.provenance
    if not provenance.limitations:
        return _open(
            question, "No limitation with a rule or slice is declared.", "Declare limitations, each with rule or slice."
        )
    problems = [problem for item in provenance.limitations if (problem := _limitation_problem(item, subject))]
    if problems:
        return _open(question, " ".join(problems), "Link every limitation to a rule of the contract or to a slice.")
    return _closed(question, " ".join(item.text for item in provenance.limitations))


_QUESTIONS: tuple[Callable[[Subject], Answer], ...] = (
    ask_origin,
    ask_author,
    ask_transformations,
    ask_version,
    ask_quality,
    ask_suitability,
    ask_limitations,
)


def _open(question: str, what: str, remedy: str) -> Answer:
    return Answer(question=question, answered=False, what=what, remedy=remedy)


def _closed(question: str, what: str) -> Answer:
    return Answer(question=question, answered=True, what=what, remedy="")


def _source_problem(source: Source) -> str:
    if source.path is None:
        return ""
    if not source.sha256:
        return f"{source.origin} has a path but no digest."
    try:
        digest = file_digest(source.path)
    except MissingFile as error:
        return error.what
    return "" if digest == source.sha256 else f"{source.path.name} is not the declared file ({digest[:12]})."


def _in_office(member: Member, at: datetime) -> bool:
    begun = not member.date_in or parse_instant(member.date_in) <= at
    return begun and (not member.date_out or at < parse_instant(member.date_out))


def _limitation_problem(item: Limitation, subject: Subject) -> str:
    if item.rule_id:
        result = subject.report.result(item.rule_id)
        known = result is not None and result.verdict is not Verdict.UNKNOWN
        return "" if known else f"No rule {item.rule_id!r} was run for {item.text!r}."
    column, sign, value = item.slice.partition("=")
    if not sign:
        return f"Nothing watches {item.text!r}."
    try:
        subject.table.type_of(column)
    except ContractError as error:
        return error.what
    ((rows,),) = subject.table.query(f"SELECT COUNT(*) FROM data WHERE CAST({quote(column)} AS VARCHAR) = ?", [value])
    return "" if rows else f"The slice {item.slice} has no rows."


def _normal(text: str) -> str:
    return " ".join(text.split()).casefold().rstrip(".")
