"""How long a decision takes: 58 criteria, 1,000 envelopes. Prints a table and writes build/bench/decide.json.

Three figures: *warm* is what a control plane pays that decides again and again over one set of envelopes; *cold* is the
first decision of a process, with every Ed25519 signature verified and every payload parsed; *admit* is step 1 alone.
"""

import json
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from roadworthy.base.canonical import canonical_bytes
from roadworthy.base.codec import to_json
from roadworthy.base.digest import digest_bytes, digest_of
from roadworthy.base.interval import Interval
from roadworthy.domain import criterion as c
from roadworthy.domain.decision import Decision, LedgerHead
from roadworthy.domain.evidence import (
    PREDICATE_TYPE,
    STATEMENT_MEDIA_TYPE,
    Control,
    CriterionRef,
    Evidence,
    Finding,
    RunOutcome,
    Sealed,
)
from roadworthy.domain.people import Producer, Role
from roadworthy.domain.risk import Tier
from roadworthy.domain.use_case import RELEASE_PARTS, Part, Subject, UseCase
from roadworthy.gates.admit import admit
from roadworthy.gates.envelope import _content
from roadworthy.gates.evaluate import decide
from roadworthy.ledger.dsse import sign
from roadworthy.ledger.keys import SigningKey, generate_key
from roadworthy.ledger.statement import statement
from roadworthy.ports.trust import Trust
from roadworthy.store.trust import LedgerTrust

CRITERIA, ENVELOPES, ROUNDS = 58, 1000, 25
TARGET_MS = 50.0
AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
PARTS = {part: digest_of(part.value) for part in (*RELEASE_PARTS, Part.PILOT_DATA, Part.PRODUCTION_DATA)}
SUBJECT = Subject(use_case_id="bench", release_digest=digest_of("release"), parts=PARTS)
TIERS = (Tier.R1, Tier.R2, Tier.R3, Tier.R4)
BLANK = {"intended_use": "-", "decision": "-", "owners": {}, "builders": ()}


def criterion(number: int) -> c.Criterion:
    """One of the synthetic criteria: two predicates, four parts, as a real one has."""
    bounds = tuple(
        c.Predicate(
            metric=metric,
            comparator=c.Comparator.AT_LEAST,
            bound=0.8,
            unit="1",
            n_min=100,
            provenance="Agreed with the business owner at the close of the pilot.",
        )
        for metric in ("auc", "sensitivity")
    )
    return c.Criterion(
        id=f"C{number}",
        domain=tuple(c.ReadinessDomain)[number % 4],
        title=f"Synthetic criterion {number} with a title of about the usual length",
        kind=c.Kind.EXECUTABLE,
        check=f"bench.check-{number}",
        acceptance=bounds,
        depends_on=frozenset({Part.MODEL, Part.CONFIG, Part.THRESHOLDS, Part.PRODUCTION_DATA}),
        max_age_days=dict(zip(TIERS, (60.0, 30.0, 14.0, 7.0), strict=True)),
        waivable=frozenset({Tier.R1, Tier.R2}),
        min_assurance=c.Assurance.EXECUTED,
        signer_roles=(),
        may_not_apply=False,
        required_from=Tier.R1,
        effort=c.Effort(low_days=1, likely_days=2, high_days=5),
        owner_role=Role.SYSTEM_OWNER,
        gap_depends_on=(),
        sources=(c.Source(document="Framework", clause="4.2"), c.Source(document="Regulation", clause="15")),
    )


PROFILE = c.Profile(
    use_case_id="bench",
    tier=Tier.R3,
    gate=c.Gate(
        id="go-live",
        title="Go live",
        quorum=(c.QuorumRule(role=Role.BUSINESS_OWNER),),
        independent_from=Tier.R3,
        waiver_days=dict.fromkeys(TIERS, 30.0),
        max_waivers=3,
        conditional_wave_share=0.05,
    ),
    criteria=tuple(criterion(number) for number in range(CRITERIA)),
    packs=(),
)


def evidence(number: int) -> Evidence:
    """One run of one check; the newest of each check comes last."""
    rule = PROFILE.criteria[number % CRITERIA]
    until = AT - timedelta(minutes=10 * (ENVELOPES - number))
    interval = Interval(estimate=0.9, lower=0.85, upper=0.95, n=400 + number)
    return Evidence(
        use_case_id="bench",
        release_digest=SUBJECT.release_digest,
        environment="production-like",
        criteria=(CriterionRef(id=rule.id, digest=rule.digest, verdict=c.Verdict.MET),),
        check=f"{rule.check}",
        check_version=1,
        parameters={"bootstrap_draws": 2000, "confidence_share": 0.95},
        inputs=PARTS,
        outcome=RunOutcome.COMPLETED,
        problem=None,
        estimates=tuple(c.Estimate(metric=metric, interval=interval) for metric in ("auc", "sensitivity", "brier")),
        control=Control(fixture="shuffled labels", failed=True, detail="auc 0.501, sensitivity 0.49"),
        findings=(Finding(what="Site C is weaker than the others.", remedy="Look at its units."),),
        facts={"rows": 400 + number, "sites": ["A", "B", "C"]},
        attachments=(),
        attestation=None,
        tool={"roadworthy": "0.1.0", "python": "3.11", "environment": digest_of("environment")},
        seed=number,
        observed_from=until - timedelta(minutes=1),
        observed_until=until,
        produced_at=until,
        producer="inspector",
        assurance=c.Assurance.EXECUTED,
    )


def seal(number: int, key: SigningKey) -> Sealed:
    """A signed envelope around one piece of evidence."""
    subject = ("bench", SUBJECT.release_digest.removeprefix("sha256:"))
    payload = statement([subject], PREDICATE_TYPE, to_json(evidence(number)))
    body = sign(STATEMENT_MEDIA_TYPE, payload, [key]).to_bytes()
    return Sealed(index=number, received_at=AT, body=body, digest=digest_bytes(body))


def median_ms(work: Callable[[], object], before: Callable[[], object] = lambda: None) -> float:
    """Median over the rounds, in milliseconds; ``before`` is not timed."""
    taken = []
    for _ in range(ROUNDS):
        before()
        start = time.perf_counter()
        work()
        taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken)


def main() -> None:
    """Measure, print, write."""
    key = generate_key()
    producers = {"inspector": Producer(id="inspector", public_key=key.public.raw.hex())}
    envelopes = [seal(number, key) for number in range(ENVELOPES)]
    use_case = UseCase(id="bench", title="Bench", tier=Tier.R3, **BLANK)
    head = LedgerHead(size=ENVELOPES, root="r", note="n")

    def run(trust: Trust) -> Decision:
        return decide(PROFILE, envelopes, (), (), head, AT, use_case=use_case, subject=SUBJECT, people={}, trust=trust)

    warm = LedgerTrust({}, producers)
    decision = run(warm)
    assert not decision.blocking
    assert not decision.refused
    figures = {
        "criteria": CRITERIA,
        "envelopes": ENVELOPES,
        "envelope_bytes": statistics.median(len(each.body) for each in envelopes),
        "warm_ms": median_ms(lambda: run(warm)),
        "admit_warm_ms": median_ms(lambda: admit(envelopes, warm, at=AT, use_case_id="bench")),
        "cold_ms": median_ms(lambda: run(LedgerTrust({}, producers)), _content.cache_clear),
        "target_ms": TARGET_MS,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    same = canonical_bytes(to_json(run(LedgerTrust({}, producers)))) == canonical_bytes(to_json(decision))
    figures["cold_equals_warm"] = same
    for name, value in figures.items():
        print(f"{name:18} {value:.2f}" if isinstance(value, float) else f"{name:18} {value}")
    folder = Path(__file__).parents[2] / "build" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "decide.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
