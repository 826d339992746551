"""Sending a plan to workers, without Spark: what is sent, what comes back, and whose words a failure speaks."""

import pickle

import pyarrow as pa
import pytest

from roadworthy.base.errors import ContractError, EngineRefused
from roadworthy.measure.volume.accumulators import Extremes, Rows, Special
from roadworthy.measure.volume.compile.numpy import measure_batches
from roadworthy.measure.volume.compile.spark import measure_spark
from roadworthy.measure.volume.plan import ColumnKind, Kind, make_plan

PLAN = make_plan([ColumnKind(name="a`b", kind=Kind.NUMBER)], [Rows(), Special(column="a`b"), Extremes(column="a`b")])
TABLE = pa.table({"a`b": [1.0, None, -3.5, 7.0, 2.0], "c": [1, 2, 3, 4, 5]})


class Frame:
    """What is used of a frame of Spark: two pieces, the second cut into two batches, and one without rows."""

    def __init__(self, table, says=""):
        self.table, self.says = table, says
        self.columns = table.column_names

    def select(self, *names):
        return Frame(self.table.select([name.strip("`").replace("``", "`") for name in names]), self.says)

    def mapInArrow(self, count, schema):  # its name
        assert schema == "state binary"
        cuts = [self.table.slice(0, 2)], [self.table.slice(2, 1), self.table.slice(3)], []
        self.counted = [count(batch for part in piece for batch in part.to_batches()) for piece in cuts]
        return self

    def collect(self):
        if self.says:
            raise ValueError(self.says)
        return [tuple(batch.column(0)[0].as_py() for _ in "1") for piece in self.counted for batch in piece]


def test_states_of_the_pieces_are_joined() -> None:
    """As at home, whatever the pieces, and nothing but the plan's columns is asked for."""
    wanted = measure_batches(PLAN, TABLE.to_batches())
    assert measure_spark(PLAN, Frame(TABLE)).to_bytes() == wanted.to_bytes()
    assert measure_spark(make_plan([], [Rows()]), Frame(TABLE)).rows == 5


def test_a_plan_can_travel() -> None:
    """Pickled and read back it is the same plan, by its digest."""
    assert pickle.loads(pickle.dumps(PLAN)).digest == PLAN.digest


def test_a_missing_column_is_named() -> None:
    """Before anything is sent."""
    with pytest.raises(ContractError, match="no column a`b"):
        measure_spark(PLAN, Frame(TABLE.select(["c"])))


@pytest.mark.parametrize(
    ("says", "heard"),
    [
        (
            "Job aborted\n  at java\nModuleNotFoundError: No module named 'roadworthy'\n",
            "ModuleNotFoundError: No module named 'roadworthy'",
        ),
        ("\n  it stopped.\n", "it stopped"),
        ("\n", "no reason given"),
    ],
)
def test_a_failure_speaks_in_the_workers_words(says, heard) -> None:
    """The line of the exception in Python when there is one, else the first words."""
    with pytest.raises(EngineRefused) as caught:
        measure_spark(PLAN, Frame(TABLE, says))
    assert caught.value.what == f"spark could not run the count: {heard}."
