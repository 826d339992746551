import numpy as np
import pyarrow.compute as pc
import pytest
from demo_specimens import AT, SEED

from roadworthy.demo.cohorts import (
    CURATED_COLUMN,
    FEATURES,
    KEY,
    LABEL,
    LENGTHS,
    LOST,
    MEASURED,
    RECEIVED,
    SCANNER,
    SENTINEL_COLUMN,
    SITES,
    make_cohorts,
    matrix,
    read_source,
)
from roadworthy.demo.measurements import MEASUREMENTS


@pytest.fixture(scope="module")
def cohorts():
    return make_cohorts(AT, SEED)


def planted(cohorts, kind):
    return next(each for each in cohorts.planted if each.kind == kind)


def row_of(table, key):
    return table.filter(pc.equal(table[KEY], key)).to_pylist()[0]


def test_the_source_is_the_published_set():
    """569 patients, 212 of them malignant, ten measurements."""
    source = read_source()
    assert (source.num_rows, pc.sum(source[LABEL]).as_py(), matrix(source).shape) == (569, 212, (569, 10))


def test_every_patient_is_in_exactly_one_set(cohorts):
    """Pilot and sites share nobody, and nobody is left out."""
    keys = [key for table in (cohorts.pilot, *cohorts.clean.values()) for key in table[KEY].to_pylist()]
    assert sorted(keys) == cohorts.source[KEY].to_pylist()
    assert cohorts.pilot.num_rows == 200


def test_every_set_has_the_same_share_of_malignant_masses(cohorts):
    """The split is stratified."""
    shares = [pc.mean(table[LABEL]).as_py() for table in (cohorts.pilot, *cohorts.clean.values())]
    assert max(shares) - min(shares) < 0.01


def test_no_measurement_is_invented(cohorts):
    """Clean rows hold what the source holds, to the bit."""
    truth = dict(zip(cohorts.source[KEY].to_pylist(), matrix(cohorts.source).tolist(), strict=True))
    for table in (cohorts.pilot, *cohorts.clean.values(), cohorts.resend):
        for key, values in zip(table[KEY].to_pylist(), matrix(table).tolist(), strict=True):
            assert values == truth[key]


def test_the_seed_decides_everything(cohorts):
    """The same seed gives the same tables, another one gives others."""
    again, other = make_cohorts(AT, SEED), make_cohorts(AT, SEED + 1)
    assert again.pilot.equals(cohorts.pilot)
    assert all(again.feed[site].equals(cohorts.feed[site]) for site in SITES)
    assert again.planted == cohorts.planted
    assert other.planted != cohorts.planted


def test_every_row_is_older_than_the_instant(cohorts):
    """Measured before received, received before the demonstration, both recent enough."""
    at = np.datetime64(AT.replace(tzinfo=None), "us")
    for table in (cohorts.pilot, *cohorts.feed.values()):
        measured, received = table[MEASURED].to_numpy(), table[RECEIVED].to_numpy()
        assert (measured < received).all()
        assert (received < at).all()
        assert (measured > at - np.timedelta64(61, "D")).all()


def test_the_pilot_is_within_the_declared_limits(cohorts):
    """So are the clean rows of every site, so that damage is what is found."""
    for table in (cohorts.pilot, *cohorts.clean.values()):
        for each in MEASUREMENTS:
            values = table[each.column].to_numpy()
            assert each.lowest <= values.min() <= values.max() <= each.highest
            assert each.median_range[0] <= np.median(values) <= each.median_range[1]


def test_the_pilot_prefers_symmetric_nuclei_and_nothing_else(cohorts):
    """Of either outcome its median symmetry is lower than at every site, and that of any other measurement moves less."""
    table = cohorts.pilot
    for outcome in (0, 1):
        chosen, others = (
            np.concatenate([matrix(each.filter(pc.equal(each[LABEL], outcome))) for each in group])
            for group in ([table], cohorts.clean.values())
        )
        moved = np.abs(np.median(others, axis=0) - np.median(chosen, axis=0)) / others.std(axis=0)
        column = FEATURES.index(CURATED_COLUMN)
        assert np.median(chosen[:, column]) < np.median(others[:, column])
        assert np.argmax(moved) == column
        assert moved[column] > 0.5
    assert planted(cohorts, "curated pilot").keys == tuple(sorted(table[KEY].to_pylist()))


def test_the_new_scanner_stands_at_site_c_only(cohorts):
    """Its rows are those in millimetres, in what was measured and in what arrives."""
    swapped = set(planted(cohorts, "unit swap").keys)
    for tables in (cohorts.clean, cohorts.feed):
        new = {row[KEY] for table in tables.values() for row in table.to_pylist() if row[SCANNER] == "mark-2"}
        assert new == swapped
    assert set(cohorts.pilot[SCANNER].to_pylist()) == {"mark-1"}


def test_site_c_reports_millimetres_since_one_instant(cohorts):
    """Lengths are a thousandth, areas a millionth, of the newest rows and of no other."""
    clean, feed = cohorts.clean["site-c"], cohorts.feed["site-c"]
    keys = set(planted(cohorts, "unit swap").keys)
    assert len(keys) == round(0.7 * clean.num_rows)
    swapped = np.asarray([key in keys for key in clean[KEY].to_pylist()])
    assert clean[MEASURED].to_numpy()[swapped].min() >= clean[MEASURED].to_numpy()[~swapped].max()
    for column in FEATURES:
        factor = {"mean_area": 1e-6}.get(column, 1e-3) if column in LENGTHS else 1.0
        expected = np.where(swapped, clean[column].to_numpy() * factor, clean[column].to_numpy())
        np.testing.assert_allclose(feed[column].to_numpy(), expected, rtol=1e-12)


def test_site_b_lost_measurements_and_wrote_zeros(cohorts):
    """Nulls and zeros stand exactly where the truth says, in different rows."""
    feed = cohorts.feed["site-b"]
    lost, zeros = set(planted(cohorts, "missing fields").keys), set(planted(cohorts, "sentinel").keys)
    assert not lost & zeros
    assert len(lost) > 20
    for row in feed.to_pylist():
        assert all((row[name] is None) == (row[KEY] in lost) for name in LOST)
        assert (row[SENTINEL_COLUMN] == 0.0) == (row[KEY] in zeros)
    assert set(cohorts.resend[KEY].to_pylist()) == lost


def test_site_a_delivers_twice_and_late(cohorts):
    """Repeats are exact copies; late rows took three days or more."""
    feed = cohorts.feed["site-a"]
    keys = feed[KEY].to_pylist()
    repeated, late = planted(cohorts, "duplicate rows").keys, planted(cohorts, "late rows").keys
    assert sorted(key for key in set(keys) if keys.count(key) == 2) == list(repeated)
    assert not set(repeated) & set(late)
    days = (feed[RECEIVED].to_numpy() - feed[MEASURED].to_numpy()) / np.timedelta64(1, "D")
    assert sorted(key for key, delay in zip(keys, days, strict=True) if delay > 2) == list(late)
