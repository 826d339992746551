"""The scorecard, the gap register and evidence in a terminal.

Owns layout only: every word and number is the read model's, so the terminal and the page cannot disagree.
"""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from roadworthy.base.clock import format_instant
from roadworthy.cli.output import PAGE_WIDTH, PlainConsole, plain, styled
from roadworthy.domain.decision import Outcome
from roadworthy.reports.register import GapRow
from roadworthy.reports.rows import Row
from roadworthy.reports.scorecard import Scorecard
from roadworthy.reports.words import number, outcome_word, short_digest, state_look
from roadworthy.wiring.view import EnvelopeView

_TONES = {"ok": "green", "bad": "red", "wait": "yellow", "waive": "magenta", "none": "dim"}


def scorecard_text(out: PlainConsole, card: Scorecard) -> None:
    """The scorecard: where each criterion stands, what the gate says, and what to do next."""
    width = min(out.width, PAGE_WIDTH)
    out.print()
    out.print(
        f" {card.use_case_id} · release {card.release} · tier {card.tier.value} · {' + '.join(card.packs)}",
    )
    for domain in card.domains:
        out.print()
        out.print(styled(f" {domain.title:<{width - 12}}{domain.passed} of {len(domain.rows)}", "bold"))
        table = Table.grid(padding=(0, 2), expand=False)
        table.width = width
        table.add_column(width=1)
        table.add_column(width=4)
        table.add_column(ratio=5)
        table.add_column(ratio=6)
        table.add_column(justify="right", width=10)
        for row in domain.rows:
            look = state_look(row.state)
            style = _TONES[look.tone]
            table.add_row(
                styled(look.sign, style),
                styled(row.criterion_id, style),
                row.title,
                styled(_measured(row)),
                styled(row.life.words.removesuffix(" left"), "dim"),
            )
        out.print(table)
    _verdict(out, card)


def _measured(row: Row) -> str:
    if row.figure is None:
        return row.said
    bound = f"  bound {row.figure.bound_text}" if row.figure.bound_text else ""
    detail = f"  {row.detail}" if row.detail else ""
    return f"{row.figure.name} {row.figure.text}{bound}{detail}"


def _verdict(out: PlainConsole, card: Scorecard) -> None:
    passes = card.outcome in (Outcome.OPEN, Outcome.CONDITIONAL)
    out.print()
    out.print(
        Text.assemble(
            plain(f" Gate {card.gate_id}: "),
            (outcome_word(card.outcome).upper(), "bold green" if passes else "bold red"),
            plain(f". {card.headline}"),
        )
    )
    if card.sub:
        out.print(f" {card.sub}")
    if card.waiting_for:
        out.print(f" Waiting for the signature of: {', '.join(card.waiting_for)}")
    if card.gaps:
        out.print(" Cheapest first:  roadworthy gaps")
    out.print(
        f" Evidence: {len(card.evidence)} envelopes, checkpoint {card.proof.ledger_size}, verify with  "
        "roadworthy export bundle.zip && roadworthy verify bundle.zip",
        soft_wrap=True,
    )


def gap_register(out: PlainConsole, card: Scorecard) -> None:
    """The register, in the order that opens the gate most cheaply."""
    if not card.gaps or card.plan is None:
        out.print("No open gaps.")
        return
    plan = card.plan
    out.print(f" {len(card.gaps)} open gaps, {plan.person_days_words}. {card.sub}".rstrip())
    order = {step.criterion_id: position for position, step in enumerate(plan.cheapest, start=1)}
    table = Table(box=None, padding=(0, 1), header_style="dim", width=min(out.width, PAGE_WIDTH))
    for name, justify in (("", "right"), ("gap", "left"), ("state", "left"), ("owner", "left"), ("effort", "right")):
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]  # rich takes these literals
    table.add_column("after", max_width=12)
    table.add_column("done", no_wrap=True, justify="right")
    table.add_column("critical", no_wrap=True, justify="right")
    table.add_column("what to do first", ratio=1)
    for gap in sorted(card.gaps, key=lambda each: order.get(each.criterion_id, len(order) + 1)):
        table.add_row(*_gap_cells(gap, order))
    out.print(table)
    out.print(f" Critical path: {' → '.join(plan.critical_path)}")
    load = ", ".join(f"{owner} {number(days)} d" for owner, days in sorted(plan.load_days.items(), key=lambda i: -i[1]))
    out.print(f" Work by owner: {load}")


def _gap_cells(gap: GapRow, order: dict[str, int]) -> tuple[str | Text, ...]:
    look = state_look(gap.state)
    mark = "●" if gap.on_critical_path else ""
    todo = f"deferred: {gap.deferred}" if gap.deferred else gap.remedy
    return (
        str(order.get(gap.criterion_id, "")),
        styled(gap.criterion_id, "bold"),
        styled(f"{look.sign} {look.word}", _TONES[look.tone]),
        gap.owner,
        gap.effort_words,
        ", ".join(gap.depends_on),
        gap.finish_words,
        f"{mark} {gap.criticality_share:.0%}",
        todo,
    )


def envelope_list(out: PlainConsole, found: Sequence[EnvelopeView]) -> None:
    """One line an envelope, oldest first."""
    if not found:
        out.print("No evidence yet. Run roadworthy inspect.")
    for each in found:
        evidence = each.evidence
        about = " ".join(f"{ref.id}:{ref.verdict.value}" for ref in evidence.criteria)
        out.print(
            f"{each.index:>5}  {each.digest[7:19]}  {format_instant(evidence.produced_at)[:19]}  "
            f"{evidence.check:<24} {evidence.outcome.value:<11} {about}",
            soft_wrap=True,
        )


def envelope_detail(out: PlainConsole, found: EnvelopeView) -> None:
    """Everything in one envelope that a person can read; ``--json`` prints the signed envelope itself."""
    evidence = found.evidence
    lines = [
        f"Evidence {found.digest}",
        f"  entry      {found.index}",
        f"  check      {evidence.check}, version {evidence.check_version}, {evidence.outcome.value}",
        f"  release    {short_digest(evidence.release_digest)} of {evidence.use_case_id}, in {evidence.environment}",
        f"  observed   {format_instant(evidence.observed_from)} to {format_instant(evidence.observed_until)}",
        f"  producer   {evidence.producer}, {evidence.assurance.value}, seed {evidence.seed}",
    ]
    lines += [f"  criterion  {ref.id}: {ref.verdict.value}" for ref in evidence.criteria]
    if evidence.problem:
        lines.append(f"  problem    {evidence.problem}")
    for estimate in evidence.estimates:
        span = estimate.interval
        where = f" at {estimate.cohort}" if estimate.cohort else ""
        unit = "" if estimate.unit == "1" else f" {estimate.unit}"
        lines.append(
            f"  measured   {estimate.metric}{where}: {number(span.estimate)} [{number(span.lower)}, {number(span.upper)}]"
            f"{unit}, n {span.n}"
        )
    if evidence.control:
        found_it = "found it, as it must" if evidence.control.failed else "did NOT find it: this run proves nothing"
        lines.append(f"  control    {evidence.control.fixture}: {found_it} ({evidence.control.detail})")
    word = evidence.attestation
    if word:
        lines.append(f"  signed     {word.printed_name} as {word.role.value}: {word.claim.value}. {word.reason}")
    lines += [f"  parameter  {name} = {value}" for name, value in evidence.parameters.items()]
    lines += [f"  input      {part.value} {short_digest(digest)}" for part, digest in evidence.inputs.items()]
    for finding in evidence.findings:
        lines += [f"  found      {finding.what}", f"             → {finding.remedy}"]
    lines += [f"  attached   {a.name} ({a.size_bytes} bytes, {short_digest(a.digest)})" for a in evidence.attachments]
    for line in lines:
        out.print(line, markup=False, soft_wrap=True)
