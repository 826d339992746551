"""Spark with two workers counts what numpy counts: in its own language through Ibis, and by sending it the plan."""

import ibis
import pyarrow.parquet as pq
import pytest
from engine_cases import KINDS
from engine_suite import Engine, EngineSuite, Odd

from roadworthy.base.errors import ContractError, EngineRefused
from roadworthy.measure.volume.accumulators import Extremes, Rows
from roadworthy.measure.volume.compile.grouped import repeated_ibis, unreferenced_ibis
from roadworthy.measure.volume.compile.ibis import measure_ibis
from roadworthy.measure.volume.compile.spark import measure_spark
from roadworthy.measure.volume.plan import ColumnKind, Plan, make_plan
from roadworthy.measure.volume.plan import Kind as Reads

pytestmark = pytest.mark.spark

PIECES = 3


class SparkEngine(Engine):
    """Views over Parquet files, in pieces, so that both workers count."""

    foreign = False
    # Its own limits are so low that every larger plan is split.
    splits = False

    def __init__(self, session, folder) -> None:
        self.session = session
        self.folder = folder
        self.connection = ibis.pyspark.connect(session)

    def load(self, name, table):
        path = self.folder / f"{name}.parquet"
        pq.write_table(table, path)
        self.session.read.parquet(str(path)).repartition(PIECES).createOrReplaceTempView(name)
        return self.connection.table(name)

    def measure(self, plan, source, limit=None):
        return measure_ibis(plan, source, limit=limit)

    def repeated(self, rule, source):
        return repeated_ibis(rule, source)

    def unreferenced(self, rule, source, other):
        return unreferenced_ibis(rule, source, other)


class TestSpark(EngineSuite):
    """The suite on two workers."""

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls, spark_session, tmp_path_factory):
        return SparkEngine(spark_session, tmp_path_factory.mktemp("engine"))


class SparkArrowEngine(SparkEngine):
    """Each worker counts its rows with numpy, and a state for each piece comes back."""

    foreign = True

    def measure(self, plan, source, limit=None):
        return measure_spark(plan, self.session.table(source.get_name()))


class TestSparkByArrow(EngineSuite):
    """The suite on two workers with Python; what groups rows is Spark's own to do, and tested above."""

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls, spark_session, tmp_path_factory):
        return SparkArrowEngine(spark_session, tmp_path_factory.mktemp("engine"))

    test_repeated_keys = None
    test_keys_that_point_to_nothing = None
    test_the_hearts_contract_gives_the_same_counts = None
    test_many_columns = None
    test_every_bit_of_an_edge_arrives = None
    test_a_list_is_no_number = None

    def test_what_is_not_there_or_not_known_is_refused(self, engine, world):
        """A column that the frame lacks; and a module that the workers do not have, named in their own words."""
        absent = make_plan([ColumnKind(name="absent", kind=Reads.NUMBER)], [Rows(), Extremes(column="absent")])
        with pytest.raises(ContractError, match="absent"):
            engine.measure(absent, world)
        with pytest.raises(EngineRefused, match="No module named 'engine_suite'"):
            engine.measure(Plan(kinds=KINDS[:1], accumulators=(Rows(), Odd())), world)
