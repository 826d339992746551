"""The keys that a reference may point to, as plain values. Owns how a key is compared; loads none (``references`` does).

Free of any engine, so that the inline filter can hold them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from roadworthy.measure.comparison import Reading
from roadworthy.measure.reading import instant_of, number_of, text_of

Key = tuple[float | int | str, ...]

READERS: dict[Reading, Callable[[object], float | int | str | None]] = {
    Reading.NUMBER: number_of,
    Reading.INSTANT: instant_of,
    Reading.TEXT: text_of,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKeys:
    """Keys of another table.

    Attributes:
        readings: what each part of a key is compared as: number, instant or text.
        keys: without nulls.
    """

    readings: tuple[Reading, ...]
    keys: frozenset[Key]

    def has(self, values: Sequence[object]) -> bool:
        """Whether these values, one for each reading, make a known key; what cannot be read makes none."""
        return tuple(READERS[kind](value) for kind, value in zip(self.readings, values, strict=True)) in self.keys
