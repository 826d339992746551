"""The seven questions about a data set, each answered by a test that runs. Owns the questions and their tests.

A datasheet in prose is believed; this one is checked: files are hashed, rules and claims are executed, lineage events and
links are followed. A question counts as answered only when its test found what the contract declares.

Rules kept here:
1. Every unanswered question comes with the one thing to do.
2. Quality that is *bad* is still an answer (another criterion judges it); quality that was not measured, or too long ago,
   is none, and neither is a claim, a code list or a direction that the data contradicts: the datasheet would be wrong.
3. Lineage and the passport's declarations only ask for more: with them, each question needs all that it needs without.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from roadworthy.base.clock import format_instant, parse_instant
from roadworthy.base.errors import ContractError, InstantError, MissingFile
from roadworthy.measure.passport.claims import ClaimResult, run_claims, run_codings
from roadworthy.measure.passport.declared import Declarations
from roadworthy.measure.passport.lineage import Lineage, Run
from roadworthy.measure.passport.openlineage import Name
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
        declared: the passport's part of the contract; None when it is not asked for.
        lineage: the graph of lineage events; None when there are none.
        max_age_s: how old the assessment may be, in seconds; None for any age.
        lineage_max_age_s: how old the newest run that wrote the data may be, in seconds; None for any age.
    """

    table: Table
    contract: Contract
    report: QualityReport
    at: datetime
    use_case_id: str
    intended_use: str
    release_data_sha256: str
    declared: Declarations | None = None
    lineage: Lineage | None = None
    max_age_s: float | None = None
    lineage_max_age_s: float | None = None


def answer_datasheet(subject: Subject) -> tuple[Answer, ...]:
    """Ask all seven questions, in their usual order.

    Raises:
        MissingFile: the data files themselves are gone (RW-102).
    """
    return tuple(ask(subject) for ask in _QUESTIONS)


def score_share(answers: Sequence[Answer]) -> float:
    """The share of questions whose test passed, in [0, 1]; 0 without questions."""
    return sum(answer.answered for answer in answers) / len(answers) if answers else 0.0


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
    found = f"{len(sources)} origins, {len(checked)} with a digest that its file has."
    named = _in_lineage(subject)
    if named is None:
        return _closed(question, found)
    upstream = named[0].upstream(named[1])
    if not upstream:
        return _open(
            question,
            f"No lineage event says what {named[1].text} was made from.",
            "Send run events with inputs, or correct the name of the data set.",
        )
    return _closed(question, f"{found} Lineage: from {', '.join(item.text for item in upstream)}.")


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
    if problem := _run_problem(subject, digest):
        return _open(question, problem, "Run the job again, or send the event of the run that made this data.")
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
    named = _in_lineage(subject)
    live = named[0].versions_in_use(named[1]) if named else ()
    if len(live) > 1:
        users = "; ".join(f"{use.version[:19]} by {', '.join(job.text for job in use.jobs)}" for use in live)
        return _open(question, f"{len(live)} versions are live: {users}.", "Move every job to one version.")
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
    if subject.max_age_s is not None and report.assessed_at < subject.at - timedelta(seconds=subject.max_age_s):
        return _open(question, f"The checks are of {format_instant(report.assessed_at)}.", "Run the checks again.")
    claims = _claims(subject)
    wrong = [result for result in claims if result.verdict is not Verdict.MET]
    if wrong:
        said = "; ".join(f"{result.claim}: {result.found}" for result in wrong)
        return _open(question, f"{len(wrong)} of {len(claims)} claims do not hold: {said}.", wrong[0].remedy)
    met = sum(result.verdict is Verdict.MET for result in told)
    said = f"{len(told)} rules on {report.rows} rows at {format_instant(report.assessed_at)}: {met} met."
    return _closed(question, f"{said} {len(claims)} claims hold." if claims else said)


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
    found = f"{provenance.usage.strip()} This use case is among the declared uses."
    if subject.declared is None:
        return _closed(question, found)
    if not subject.declared.licence:
        return _open(question, "No licence is declared.", "Declare licence in roadworthyPassport.")
    return _closed(question, f"{found} Licence: {subject.declared.licence}.")


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


def _in_lineage(subject: Subject) -> tuple[Lineage, Name] | None:
    if subject.lineage is None or subject.declared is None or subject.declared.dataset is None:
        return None
    return subject.lineage, subject.declared.dataset


def _run_problem(subject: Subject, digest: str) -> str:
    named = _in_lineage(subject)
    if named is None:
        return ""
    runs = named[0].producers(named[1])
    if not runs:
        return f"No lineage event of a run that wrote {named[1].text} has come."
    age_s = (subject.at - runs[-1].at).total_seconds()
    if subject.lineage_max_age_s is not None and age_s > subject.lineage_max_age_s:
        return f"The newest run of {runs[-1].job.text} that wrote it is of {format_instant(runs[-1].at)}."
    versions = _written(runs[-1], named[1])
    if digest in {version.removeprefix("sha256:") for version in versions}:
        return ""
    return f"The newest run of {runs[-1].job.text} wrote {', '.join(versions) or 'no version'}, this is {digest[:12]}."


def _written(run: Run, dataset: Name) -> list[str]:
    return [use.version for use in run.outputs if use.dataset == dataset and use.version]


def _claims(subject: Subject) -> tuple[ClaimResult, ...]:
    declared = subject.declared
    if declared is None:
        return ()
    codings = run_codings(subject.table, declared.codings, declared.outcome)
    return (*run_claims(subject.table, declared.claims), *codings)


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
