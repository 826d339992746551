"""Real patients split into a pilot set and three sites, and the damage that operation does. Owns both, and the truth.

The patients are the 569 of the Wisconsin Diagnostic Breast Cancer set that comes with scikit-learn. Their measurements
are never invented; sites, scanners, keys and instants are, because the set has none.

Algorithm, repeatable from the seed:
1. Of each outcome's patients a share goes to the pilot and the rest to the sites in turn, so that every set has the same
   share of malignant masses. The pilot was curated: it prefers nuclei that are symmetric. So that measurement moves
   between pilot and production, which the model hardly minds.
2. Each patient gets an instant of measurement before ``at``, and one of arrival some hours later.
3. Site C replaced its scanner: from then on it reports lengths in millimetres and areas in square millimetres. All
   other rows come from the older model of scanner.
4. Of site B's rows, a share lost two measurements on the way; the site still has them, in ``resend``.
5. At site A, some rows are delivered a second time, and some arrive days late.
6. At site B, an empty texture became 0 in some rows.

Rules kept here: the damaged rows of one site never overlap, so that what is found can be counted; whatever is planted
stands in the truth, by the keys of its rows.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer

from roadworthy.demo.measurements import FEATURES, LENGTHS, MEASUREMENTS, PER_MILLIMETRE

PILOT = "pilot-clinic"
SITES = ("site-a", "site-b", "site-c")
LABEL, KEY, COHORT, SCANNER = "malignant", "patient", "site", "scanner"
SCANNERS = ("mark-1", "mark-2")
MEASURED, RECEIVED = "measured_at", "received_at"
LOST = ("mean_concavity", "mean_concave_points")
SENTINEL_COLUMN = "mean_texture"
CURATED_COLUMN = "mean_symmetry"

_PILOT_ROWS = 200
_PREFERENCE = 3.0
_PILOT_DAYS = (5.0, 60.0)
_FEED_DAYS = (1.0, 14.0)
_ARRIVAL_HOURS = (0.5, 12.0)
_MILLIMETRE_SHARE = 0.70
_LOST_SHARE = 0.25
_REPEATED = 8
_LATE = 9
_LATE_DAYS = (3.0, 6.0)
_LATE_IF_OLDER_DAYS = 7.0
_ZEROS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One kind of damage.

    Attributes:
        kind: of damage.
        site: where.
        columns: that were damaged.
        keys: of the rows that were damaged, sorted.
        what: what happened, for people.
    """

    kind: str
    site: str
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohorts:
    """All rows of the demonstration.

    Attributes:
        source: the published set, with a key for each patient.
        pilot: the curated set.
        clean: by site, what the sites measured.
        feed: by site, what arrives of it.
        resend: the rows of site B as the site still has them.
        planted: how ``feed`` differs from ``clean``, and the pilot from an even choice.
    """

    source: pa.Table
    pilot: pa.Table
    clean: dict[str, pa.Table]
    feed: dict[str, pa.Table]
    resend: pa.Table
    planted: tuple[Planted, ...]


def make_cohorts(at: datetime, seed: int) -> Cohorts:
    """Split the patients and plant the damage; see the module for the steps.

    Args:
        at: the instant of the demonstration, aware; every row is older.
        seed: of every choice.
    """
    rng = np.random.default_rng(seed)
    source = read_source()
    pilot_rows, site_rows = _split(np.asarray(source[LABEL]), np.asarray(source[CURATED_COLUMN]), rng)  # 1
    pilot = _delivered(source.take(pa.array(pilot_rows)), PILOT, at, _PILOT_DAYS, rng)  # 2
    clean = {
        site: _delivered(source.take(pa.array(rows)), site, at, _FEED_DAYS, rng)
        for site, rows in zip(SITES, site_rows, strict=True)
    }
    site_a, site_b, site_c = SITES
    millimetres = _millimetres(clean[site_c])  # 3
    clean[site_c] = _on_new_scanner(clean[site_c], millimetres)
    lost, zeros = _disjoint(clean[site_b].num_rows, [_share(clean[site_b], _LOST_SHARE), _ZEROS], rng)  # 4, 6
    late, repeated = _late_and_repeated(clean[site_a], at, rng)  # 5
    feed = {
        site_a: _repeat(_arrive_late(clean[site_a], late, rng), repeated),
        site_b: _zero(_lose(clean[site_b], lost), zeros),
        site_c: _in_millimetres(clean[site_c], millimetres),
    }
    planted = (
        _planted("unit swap", clean[site_c], millimetres, LENGTHS, "reported in millimetres since the scanner changed"),
        _planted("missing fields", clean[site_b], lost, LOST, "lost on the way"),
        _planted("duplicate rows", clean[site_a], repeated, (KEY,), "delivered twice"),
        _planted("late rows", clean[site_a], late, (MEASURED, RECEIVED), "arrived days after the measurement"),
        _planted("sentinel", clean[site_b], zeros, (SENTINEL_COLUMN,), "an empty field became 0"),
        _planted("curated pilot", pilot, list(range(pilot.num_rows)), (CURATED_COLUMN,), "symmetric nuclei preferred"),
    )
    resend = clean[site_b].take(pa.array(lost))
    return Cohorts(source=source, pilot=pilot, clean=clean, feed=feed, resend=resend, planted=planted)


def read_source() -> pa.Table:
    """The published set: 569 rows with key, ten measurements and outcome (1 is malignant)."""
    bundle = load_breast_cancer()
    columns = {name.replace(" ", "_"): index for index, name in enumerate(bundle.feature_names)}
    table = {KEY: [f"wdbc-{row:03d}" for row in range(len(bundle.target))]}
    table |= {name: bundle.data[:, columns[name]] for name in FEATURES}
    # The set counts benign masses as 1; what a clinic looks for is the malignant ones.
    return pa.table(table | {LABEL: (1 - bundle.target).astype(np.int64)})


def matrix(table: pa.Table) -> NDArray[np.float64]:
    """The measurements, shape (rows, 10), NaN where one is missing."""
    return np.column_stack([table[name].to_numpy().astype(np.float64) for name in FEATURES])


def _split(
    labels: NDArray[np.int64], curated: NDArray[np.float64], rng: np.random.Generator
) -> tuple[list[int], list[list[int]]]:
    pilot: list[int] = []
    sites: list[list[int]] = [[] for _ in SITES]
    for outcome in (0, 1):
        rows = np.flatnonzero(labels == outcome)
        rank_share = np.argsort(np.argsort(curated[rows], kind="stable")) / len(rows)
        # A race: whose exponential clock rings first comes first, and the clocks of the preferred run faster.
        rings = rng.exponential(size=len(rows)) * np.exp(_PREFERENCE * rank_share)
        rows = rows[np.argsort(rings)]
        kept = round(_PILOT_ROWS * len(rows) / len(labels))
        pilot += [int(row) for row in rows[:kept]]
        others = [int(row) for row in rng.permutation(rows[kept:])]
        for index in range(len(SITES)):
            sites[index] += others[index :: len(SITES)]
    return sorted(pilot), [sorted(site) for site in sites]


def _delivered(
    patients: pa.Table, site: str, at: datetime, days: tuple[float, float], rng: np.random.Generator
) -> pa.Table:
    """Rows with a site, the older scanner, an instant ``days`` before ``at``, and one of arrival; oldest first."""
    count = patients.num_rows
    age_s = -np.sort(-rng.uniform(*days, count)) * 86_400
    delay_s = rng.uniform(*_ARRIVAL_HOURS, count) * 3_600
    measured = np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "s") - age_s.astype("timedelta64[s]")
    table = patients.take(pa.array(rng.permutation(count)))
    table = table.add_column(1, COHORT, pa.array([site] * count))
    table = table.add_column(2, SCANNER, pa.array([SCANNERS[0]] * count))
    table = table.add_column(3, MEASURED, _instants(measured))
    return table.add_column(4, RECEIVED, _instants(measured + delay_s.astype("timedelta64[s]")))


def _instants(values: NDArray[np.datetime64]) -> pa.Array:
    return pa.array(values.astype("datetime64[us]"), type=pa.timestamp("us", tz="UTC"))


def _share(table: pa.Table, share: float) -> int:
    return round(share * int(table.num_rows))


def _disjoint(count: int, sizes: list[int], rng: np.random.Generator) -> list[list[int]]:
    drawn = [int(row) for row in rng.choice(count, size=sum(sizes), replace=False)]
    ends = [0, *accumulate(sizes)]
    return [sorted(drawn[start:end]) for start, end in pairwise(ends)]


def _millimetres(table: pa.Table) -> list[int]:
    """The newest rows: the scanner was replaced at one instant."""
    return list(range(table.num_rows - _share(table, _MILLIMETRE_SHARE), table.num_rows))


def _on_new_scanner(table: pa.Table, rows: list[int]) -> pa.Table:
    scanners = np.full(table.num_rows, SCANNERS[0], dtype=object)
    scanners[rows] = SCANNERS[1]
    return replaced(table, SCANNER, pa.array(scanners, pa.string()))


def _late_and_repeated(table: pa.Table, at: datetime, rng: np.random.Generator) -> list[list[int]]:
    """Late rows must be old enough to have arrived before ``at``; rows are sorted from the oldest."""
    newest_late = np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "s") - np.timedelta64(
        round(_LATE_IF_OLDER_DAYS * 86_400), "s"
    )
    old_enough = int(np.count_nonzero(table[MEASURED].to_numpy() < newest_late))
    late, repeated = _disjoint(old_enough, [_LATE, _REPEATED], rng)
    return [late, repeated]


def _in_millimetres(table: pa.Table, rows: list[int]) -> pa.Table:
    for each in MEASUREMENTS:
        if each.unit in PER_MILLIMETRE:
            values = table[each.column].to_numpy().copy()
            values[rows] /= PER_MILLIMETRE[each.unit]
            table = replaced(table, each.column, pa.array(values))
    return table


def _lose(table: pa.Table, rows: list[int]) -> pa.Table:
    mask = np.zeros(table.num_rows, dtype=bool)
    mask[rows] = True
    for name in LOST:
        table = replaced(table, name, pa.array(table[name].to_numpy(), mask=mask))
    return table


def _zero(table: pa.Table, rows: list[int]) -> pa.Table:
    values = table[SENTINEL_COLUMN].to_numpy().copy()
    values[rows] = 0.0
    return replaced(table, SENTINEL_COLUMN, pa.array(values))


def _arrive_late(table: pa.Table, rows: list[int], rng: np.random.Generator) -> pa.Table:
    received = table[RECEIVED].to_numpy().copy()
    delay_s = rng.uniform(*_LATE_DAYS, len(rows)) * 86_400
    received[rows] = table[MEASURED].to_numpy()[rows] + delay_s.astype("timedelta64[s]")
    return replaced(table, RECEIVED, _instants(received))


def _repeat(table: pa.Table, rows: list[int]) -> pa.Table:
    return pa.concat_tables([table, table.take(pa.array(rows))]).combine_chunks()


def replaced(table: pa.Table, name: str, values: pa.Array) -> pa.Table:
    """The table with other values in one column."""
    return table.set_column(table.column_names.index(name), name, values)


def _planted(kind: str, table: pa.Table, rows: list[int], columns: tuple[str, ...], what: str) -> Planted:
    keys = sorted(table[KEY].take(pa.array(rows)).to_pylist())
    return Planted(kind=kind, site=table[COHORT][0].as_py(), columns=columns, keys=tuple(keys), what=what)
