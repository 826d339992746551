"""What an inferred contract promises about data that it has not seen. Owns the options; infers nothing.

All shares are in [0, 1]. The promise is made for rows that are drawn like the clean ones (exchangeable with them); rows
that come later, from elsewhere or under another law may break more rules, and should.
"""

from dataclasses import dataclass
from datetime import datetime

from roadworthy.base.errors import ParameterError


@dataclass(frozen=True, slots=True, kw_only=True)
class InferOptions:
    """How careful an inferred contract is.

    Attributes:
        alarm_share: at most this share of fresh clean rows is bad under any inferred rule that looks at rows. The
            upper end of an interval is held against it, not the estimate.
        batch_alarm_share: at most this share of fresh clean tables, as long as the clean one or longer, breaks the
            bound of any inferred rule.
        confidence: one-sided level of every bound that is computed on the way, for example 0.95.
        margin_share: by how much of the seen span a range reaches beyond what was seen, at each end.
        least_rows: no rule is inferred from fewer rows with a value.
        set_values_most: a set with more values is not closed.
        rows_per_value_least: a set is closed when it has at least so many rows for each of its values.
        dependency_error_share: a dependency between columns is believed when its rows rule out, at ``confidence`` over
            all pairs of columns that were tried, that more than this share of them contradicts it.
        contradicted_share: a dependency is no dependency when more than this share of its clean rows contradicts it.
        as_of: the instant at which the clean table was taken, for freshness; None infers no freshness.
    """

    alarm_share: float = 0.05
    batch_alarm_share: float = 0.05
    confidence: float = 0.95
    margin_share: float = 0.1
    least_rows: int = 30
    set_values_most: int = 100
    rows_per_value_least: int = 5
    dependency_error_share: float = 0.05
    contradicted_share: float = 0.005
    as_of: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no promise.

        Raises:
            ParameterError: a share outside of its range, or a count below one (RW-114).
        """
        shares = {
            "alarm_share": self.alarm_share,
            "batch_alarm_share": self.batch_alarm_share,
            "dependency_error_share": self.dependency_error_share,
        }
        for name, value in shares.items():
            if not 0 < value < 1:
                raise ParameterError(f"{name} is {value}.", remedy="Choose a share between 0 and 1.", where=name)
        if not 0.5 < self.confidence < 1:
            raise ParameterError(
                f"confidence is {self.confidence}.", remedy="Choose a level between 0.5 and 1.", where="confidence"
            )
        for name, value in {"margin_share": self.margin_share, "contradicted_share": self.contradicted_share}.items():
            if not 0 <= value < 1:
                raise ParameterError(f"{name} is {value}.", remedy="Choose 0 or more, below 1.", where=name)
        counts = {
            "least_rows": self.least_rows,
            "set_values_most": self.set_values_most,
            "rows_per_value_least": self.rows_per_value_least,
        }
        for name, count in counts.items():
            if count < 1:
                raise ParameterError(f"{name} is {count}.", remedy="Choose 1 or more.", where=name)
        if self.as_of is not None and self.as_of.tzinfo is None:
            raise ParameterError("as_of has no zone.", remedy="Give an instant in UTC.", where="as_of")
