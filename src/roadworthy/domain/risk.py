"""Risk tiers. Owns their order; how answers become a tier belongs to ``packs.tier``."""

from enum import Enum


class Tier(Enum):
    """R0 prohibited; R1 low; R2 moderate; R3 high; R4 critical (patient safety or regulatory record)."""

    R0 = "R0"
    R1 = "R1"
    R2 = "R2"
    R3 = "R3"
    R4 = "R4"

    @property
    def rank(self) -> int:
        """How severe among R1..R4; prohibition (R0) outranks them all, so it sorts as 5."""
        return 5 if self is Tier.R0 else int(self.value[1])

    def at_least(self, other: "Tier") -> bool:
        """Whether this tier is as severe as the other, or more."""
        return self.rank >= other.rank
