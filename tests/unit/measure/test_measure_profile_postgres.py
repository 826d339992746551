"""Tables of a database: the same figures as from a file, and refusals that say why."""

import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest

from roadworthy.base.errors import EmptyData, EngineRefused, ParameterError
from roadworthy.measure.profile import postgres, public
from roadworthy.measure.profile.postgres import Address

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = [
    (
        i / 8,
        None if i % 3 == 2 else "pq"[i % 3],
        i % 7,
        BEGAN + timedelta(minutes=i),
        (BEGAN + timedelta(days=i)).date(),
        None if i == 9 else i % 2 == 0,
        b"x",
    )
    for i in range(2_000)
]
NAMES = ("a", "site", "n", "seen_at", "born_on", "flag", "blob")
TABLE = 'place."visits of june"'


@pytest.fixture(scope="module")
def address(postgres_url: str) -> Iterator[str]:
    """A schema of its own with one table, a view and an empty table."""
    with psycopg.connect(postgres_url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA place")
        types = "a double precision, site text, n integer, seen_at timestamptz, born_on date, flag boolean, blob bytea"
        cursor.execute(f"CREATE TABLE {TABLE} ({types})")
        cursor.executemany(f"INSERT INTO {TABLE} VALUES (%s, %s, %s, %s, %s, %s, %s)", ROWS)
        cursor.execute(f"CREATE VIEW place.seen AS SELECT a, n::numeric(6,2) AS n FROM {TABLE}")
        cursor.execute("CREATE TABLE place.nothing (a integer)")
        yield postgres_url
        cursor.execute("DROP SCHEMA place CASCADE")


@pytest.mark.postgres
def test_a_table_profiles_like_a_file(address: str) -> None:
    """Every column, group and cell; only the name differs, and it holds no password."""
    found = public.profile(f"{address}?table=place.visits of june", by="site")
    rows = pa.table({name: [row[i] for row in ROWS] for i, name in enumerate(NAMES)})
    rows = rows.set_column(3, "seen_at", rows["seen_at"].cast(pa.timestamp("us", tz="UTC")))
    expected = public.profile(rows, by="site")
    assert found.state.to_bytes() == expected.state.to_bytes()
    assert found.columns == expected.columns or found.to_json()["columns"] == expected.to_json()["columns"]
    assert found.name == "place.visits of june of postgres on 127.0.0.1"


@pytest.mark.postgres
def test_a_view_is_compared_with_a_window_measured_before(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database counts on frozen cells; a sample of a large table is drawn alike each time."""
    first = public.profile(f"{address}?table=place.seen")
    assert public.compare(first.window, f"{address}?table=place.seen").drifted == ()
    monkeypatch.setattr(postgres, "SAMPLE_ROWS", 500)
    again = [public.profile(f"{address}?table=place.seen") for _ in range(2)]
    assert again[0].reference.digest == again[1].reference.digest != first.reference.digest
    assert again[0].rows == 2_000 and not again[0].searched


@pytest.mark.postgres
@pytest.mark.parametrize(("table", "error"), [("place.none", EngineRefused), ("place.nothing", EmptyData)])
def test_what_is_not_there_is_refused(address: str, table: str, error: type[Exception]) -> None:
    """No such table, no rows."""
    with pytest.raises(error, match=r"place\.no"):
        public.profile(f"{address}?table={table}")


def test_nobody_listens(unused_port: int) -> None:
    """A clear refusal, without the password."""
    with pytest.raises(EngineRefused) as caught:
        public.profile(f"postgresql://u:secret@127.0.0.1:{unused_port}/d?table=t")
    assert "secret" not in str(caught.value) and "t of d on 127.0.0.1" in str(caught.value)


@pytest.mark.parametrize("end", ["", "?table=", "?table=s.", "?table=a&table=b", "?table=a&sslmode=off"])
def test_an_address_names_one_table(end: str) -> None:
    """And nothing else that would be lost in silence."""
    with pytest.raises(ParameterError, match="does not name one table"):
        Address(f"postgresql://u@h/d{end}")


def test_an_address_in_parts() -> None:
    """Schema and table apart; the name says where, not who."""
    found = Address("postgresql://u:p@h:5/d?table=s.t")
    assert (found.schema, found.table, found.name, found.url) == ("s", "t", "s.t of d on h", "postgresql://u:p@h:5/d")
    assert Address("postgres:///?table=t").name == "t of postgres on local"
    assert Address("postgres:///?table=t").schema is None


@pytest.mark.parametrize(
    "login",
    [
        "u:S3CRET@pw@h",
        "u:S3CRET/pw@h",
        "u:S3CRET#pw@h",
        "u:S3CRET%pw@h",
        "u:S3CRET%00@h",
        "u:S3CRET@[::bad",
        "u:S3CRET\u2100@h",
    ],
)
def test_an_unclear_address_is_refused_without_a_word_of_it(login: str) -> None:
    """What would be read in two ways, or quoted by a library, stands in no message and no chained error."""
    with pytest.raises(ParameterError, match="%40") as caught:
        public.profile(f"postgresql://{login}/d?table=t")
    assert "S3CRET" not in "".join(traceback.format_exception_only(caught.value))
    assert caught.value.__cause__ is None and caught.value.__suppress_context__ == (
        caught.value.__context__ is not None
    )


@pytest.mark.parametrize("scheme", ["POSTGRESQL", "postgres", "postgresql+psycopg"])
def test_every_spelling_of_the_scheme_is_a_database(scheme: str) -> None:
    """None is taken for a file, whose name would be shown."""
    with pytest.raises(EngineRefused) as caught:
        public.profile(f"{scheme}://u:S3CRET@127.0.0.1:9/d?table=t")
    assert "S3CRET" not in str(caught.value)


@pytest.mark.parametrize(
    "given", ["mysql://u:S3CRET@h/d", Path("postgresql://u:S3CRET@h/d?table=t"), " postgresql://u:S3CRET@h"]
)
def test_another_address_is_no_file(given: str | Path) -> None:
    """Refused without being shown, also when a path has folded its slashes."""
    with pytest.raises(ParameterError, match="not one of PostgreSQL") as caught:
        public.profile(given)
    assert "S3CRET" not in str(caught.value)


def test_the_words_of_the_driver_are_searched_for_the_password() -> None:
    """Written as in the address, or read from it."""
    address = Address("postgresql://u:S3%23T@h/d?table=t")
    said = str(postgres._refused(address, psycopg.Error("no S3%23T, nor S3#T")))
    assert "no ***, nor ***" in said


@pytest.fixture
def unused_port() -> int:
    """Where nobody listens: the port of discard, which needs rights to open."""
    return 9
