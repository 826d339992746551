"""Profile, window and comparison on the four hospitals, in processes of their own: what is known of the data is found."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

pytestmark = pytest.mark.slow

NAMES = [
    "age",
    "sex",
    "cp",
    "trestbps",
    "chol",
    "fbs",
    "restecg",
    "thalach",
    "exang",
    "oldpeak",
    "slope",
    "ca",
    "thal",
    "num",
]
SITES = {"cleveland": 303, "hungarian": 294, "switzerland": 123, "va": 200}


def roadworthy(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """One command line, as a person runs it."""
    return subprocess.run(
        [sys.executable, "-m", "roadworthy", *words], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def folder(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cleveland as the pilot, the three others as the feed, each with its site."""
    place = tmp_path_factory.mktemp("hearts")
    source = shared_data / "heart_uci_4sites"
    with duckdb.connect() as connection:
        for site in SITES:
            read = f"read_csv('{source}/canonical.processed.{site}.data', header=false, names={NAMES}, nullstr='?')"
            connection.execute(f"COPY (SELECT *, '{site}' AS site FROM {read}) TO '{place}/{site}.parquet'")
        feed = ", ".join(f"'{place}/{site}.parquet'" for site in list(SITES)[1:])
        connection.execute(f"COPY (SELECT * FROM read_parquet([{feed}])) TO '{place}/feed.parquet'")
    return place


def test_sentinels_and_missing_columns_of_each_hospital_are_found(folder: Path) -> None:
    """Cholesterol is 0 in all 123 Swiss rows; 96 to 99 % of the vessel counts are missing outside Cleveland."""
    done = roadworthy(folder, "profile", "feed.parquet", "--by", "site", "--html", "p.html", "--json")
    assert done.returncode == 0, done.stderr
    value = json.loads(done.stdout)
    assert {group["name"]: group["rows"] for group in value["groups"]} == dict(list(SITES.items())[1:])
    said = [(each["group"], each["what"]) for each in value["notices"]]
    assert any(group == "switzerland" and "chol is 0 in 123 of 123 rows" in what for group, what in said)
    for group in value["groups"]:
        (ca,) = (column for column in group["columns"] if column["name"] == "ca")
        assert 0.95 < ca["null_share"]["estimate"] < 1
    assert (folder / "p.html").stat().st_size > 10_000


def test_the_feed_against_the_pilot_by_site(folder: Path) -> None:
    """The pilot's counts go as a file; the Swiss cholesterol and every site's vessel counts have moved."""
    assert roadworthy(folder, "profile", "cleveland.parquet", "--state", "pilot.json").returncode == 0
    (folder / "cleveland.parquet").unlink()
    words = ("compare", "pilot.json", "feed.parquet", "--by", "site", "--html", "c.html")
    done = roadworthy(folder, *words, "--fail-on-drift", "--json")
    assert done.returncode == 1, done.stderr
    moved = {
        (each["group"], each["name"])
        for each in json.loads(done.stdout)["columns"]
        if each["judgement"]["alarm"] == "exceeds"
    }
    assert {("switzerland", "chol"), ("hungarian", "ca"), ("switzerland", "ca"), ("va", "ca")} <= moved
    assert ("hungarian", "sex") not in moved
    text = roadworthy(folder, *words)
    assert text.returncode == 0 and "Drift opens an investigation; it proves no harm." in text.stdout
    assert text.stdout.count("Traceback") == text.stderr.count("Traceback") == 0
