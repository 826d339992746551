"""Evidence, envelope by envelope. Owns which envelopes are shown whole and in which order; changes nothing in them."""

from collections.abc import Iterable
from dataclasses import dataclass

from roadworthy.domain.criterion import Profile
from roadworthy.domain.evidence import Evidence
from roadworthy.reports.fact_tables import Bars, FactTable, bars_of, tables_of
from roadworthy.reports.figure import Figure, figures
from roadworthy.reports.rows import OnRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """A criterion that an envelope speaks of, with the verdict that its producer reached then."""

    criterion_id: str
    title: str
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceEntry:
    """One envelope, opened.

    Attributes:
        anchor: names it inside a page.
        digest: of the envelope.
        index: of its ledger entry.
        deciding: whether a row of the scorecard rests on it now; the others were overtaken.
        about: criteria that it speaks of.
        figures: every estimate, beside its bound where one is set.
        tables: its facts.
        bars: those of its facts that are histograms.
        evidence: the statement's predicate, as it was signed.
    """

    anchor: str
    digest: str
    index: int
    deciding: bool
    about: tuple[About, ...]
    figures: tuple[Figure, ...]
    tables: tuple[FactTable, ...]
    bars: tuple[Bars, ...]
    evidence: Evidence


def anchor_of(digest: str) -> str:
    """A name for an envelope inside a page: letters, digits and one hyphen."""
    return f"evidence-{digest.removeprefix('sha256:')[:16]}"


def evidence_entries(profile: Profile, rests_on: Iterable[str], evidence: OnRecord) -> tuple[EvidenceEntry, ...]:
    """All envelopes: first those that decide, in the order of the criteria, then the others, newest first.

    Args:
        profile: the criteria, for titles and bounds.
        rests_on: digests that the rows of the scorecard rest on, in their order.
        evidence: everything on record.
    """
    deciding = list(dict.fromkeys(digest for digest in rests_on if digest in evidence))
    others = sorted(set(evidence) - set(deciding), key=lambda digest: evidence[digest][1], reverse=True)
    return tuple(
        _entry(profile, digest, *evidence[digest], deciding=digest in deciding) for digest in (*deciding, *others)
    )


def _entry(profile: Profile, digest: str, evidence: Evidence, index: int, *, deciding: bool) -> EvidenceEntry:
    ids = [ref.id for ref in evidence.criteria]
    criteria = [criterion for criterion in profile.criteria if criterion.id in ids]
    titles = {criterion.id: criterion.title for criterion in criteria}
    return EvidenceEntry(
        anchor=anchor_of(digest),
        digest=digest,
        index=index,
        deciding=deciding,
        about=tuple(
            About(
                criterion_id=ref.id,
                title=titles.get(ref.id, "Not a criterion of this profile"),
                verdict=ref.verdict.value.replace("_", " "),
            )
            for ref in evidence.criteria
        ),
        figures=figures(criteria, evidence.estimates),
        tables=tables_of(evidence.facts),
        bars=bars_of(evidence.facts),
        evidence=evidence,
    )
