"""A decision in words. Owns the headline and the sentences beneath it; figures and layout belong to ``reports``."""

from roadworthy.domain.decision import Decision, Outcome, State
from roadworthy.domain.risk import Tier
from roadworthy.gates.envelope import stamp

_NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven", "Twelve")


def headline(decision: Decision) -> str:
    """The verdict in one or two short sentences, for example "Not yet. Three criteria block the go-live gate."."""
    gate = f"the {decision.gate_id} gate"
    if decision.tier is Tier.R0:
        return f"No. The use is prohibited, and {gate} stays closed."
    if decision.outcome is Outcome.OPEN:
        return f"Yes. {_capital(gate)} is open."
    if decision.outcome is Outcome.CONDITIONAL:
        waived = sum(reading.state is State.WAIVED for reading in decision.readings)
        return f"Yes, with conditions. {_count(waived, 'criterion is', 'criteria are')} waived at {gate}."
    opening = "No longer" if decision.outcome is Outcome.LAPSED else "Not yet"
    return f"{opening}. {_obstacle(decision, gate)}"


def _obstacle(decision: Decision, gate: str) -> str:
    if decision.blocking:
        return f"{_count(len(decision.blocking), 'criterion blocks', 'criteria block')} {gate}."
    if not decision.readings:
        return f"The profile requires nothing, so nothing was shown to {gate}."
    if decision.waiting_for:
        return f"{_count(len(decision.waiting_for), 'signature is', 'signatures are')} all that {gate} waits for."
    if not any(seat.count > 0 for seat in decision.quorum):
        return f"Nobody is asked to sign at {gate}."
    return f"The policy in force does not fit this use case, so {gate} cannot open."


def sentences(decision: Decision) -> tuple[str, ...]:
    """What a reader should know next, most pressing first.

    1. what to do first, when criteria block; 2. on whom it waits; 3. what the waivers demand, and the cap; 4. how long it
    holds; 5. since when it no longer does; 6. what could not count.
    """
    told: list[str] = []
    # 1
    if decision.unblock_order:
        told.append(f"The cheapest way to open it: {', '.join(decision.unblock_order)}.")
    # 2
    if decision.waiting_for:
        told.append(f"It waits for the signature of: {', '.join(role.value for role in decision.waiting_for)}.")
    # 3
    told.extend(f"Obligation: {obligation.rstrip('.')}." for obligation in decision.obligations)
    if decision.outcome is Outcome.CONDITIONAL:
        told.append(f"At most {decision.max_wave_share:.3g} of the population, as a share, may be served.")
    # 4
    if decision.outcome in (Outcome.OPEN, Outcome.CONDITIONAL) and decision.valid_until is not None:
        told.append(f"This holds until {stamp(decision.valid_until)}, unless something changes before.")
    # 5
    if decision.lapsed_from is not None:
        told.append(f"It was open by decision {decision.lapsed_from}, which no longer holds.")
    # 6
    if decision.refused:
        told.append(
            f"{_count(len(decision.refused), 'record', 'records')} could not count; each is listed with its reason."
        )
    return tuple(told)


def _count(number: int, one: str, many: str) -> str:
    word = _NUMBERS[number] if number < len(_NUMBERS) else str(number)
    return f"{word} {one if number == 1 else many}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
