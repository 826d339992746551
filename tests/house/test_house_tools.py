"""The two judges of continuous integration can both say no."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

import coverage_gates
import house_marks
import require_run

ALL = frozenset({"slow", "alone", "shared_data", "postgres", "browser", "extra", "spark"})


def record(outcome, *marks, reason=None):
    """One test's entry."""
    return {"t": {"marks": sorted(marks), "outcome": outcome, "reason": reason}}


@pytest.mark.parametrize(
    ("test", "met"),
    [
        (record("passed"), ALL),
        (record("xfailed"), ALL),
        (record("passed", "shared_data"), ALL),
        (record("skipped", "shared_data", reason="Skipped: shared data absent: set X"), frozenset({"slow"})),
        (record("skipped", reason="only on Linux"), ALL),
        (record("not run", "soak"), ALL),
        (record("not run", "slow", "postgres"), frozenset({"slow"})),
        (record("skipped", "postgres", reason="Skipped: no PostgreSQL server: install it"), frozenset({"slow"})),
    ],
)
def test_nothing_to_complain_about(test, met):
    """What ran, what is run by hand, what cannot run here."""
    assert require_run.complaints(test, met) == []


@pytest.mark.parametrize(
    ("test", "met"),
    [
        (record("failed"), ALL),
        (record("not run"), ALL),
        (record("not run", "slow"), ALL),
        (record("not run", "shared_data"), ALL),
        (record("not run", "alone"), ALL),
        (record("not run", "extra"), ALL),
        (record("skipped", reason="not today"), ALL),
        (record("skipped", "postgres", reason="Skipped: no PostgreSQL server: install it"), ALL),
        (record("skipped", "spark", reason="Skipped: no Spark: install Java 17"), ALL),
        (record("skipped", "shared_data", reason="Skipped: shared data absent: set X"), ALL),
        (record("skipped", reason="Skipped: nginx is not installed"), ALL | {"nginx"}),
    ],
)
def test_a_suite_that_could_have_run_is_missed(test, met):
    """Silence is not a pass."""
    assert len(require_run.complaints(test, met)) == 1


def test_continuous_integration_excuses_nothing_that_it_brings_along(monkeypatch):
    """What .ci/run installs is met there by definition, or a suite that it forgot would be excused by its absence."""
    monkeypatch.setenv("CI", "true")
    assert {"slow", "alone", "postgres", "extra", "spark", *house_marks.TOOLS} <= house_marks.available()


def test_runs_are_laid_over_each_other():
    """The second run may bring what the first left out, and may not hide a failure."""
    first, second = record("not run", "slow"), record("passed", "slow")
    assert require_run.overlay([first, second])["t"]["outcome"] == "passed"
    assert require_run.overlay([second, first])["t"]["outcome"] == "passed"
    assert require_run.overlay([record("failed"), record("passed")])["t"]["outcome"] == "failed"


def test_the_closing_line_stands_alone(tmp_path, capsys):
    """The last line is what a machine reads."""
    path = tmp_path / "tests.json"
    path.write_text(json.dumps(record("passed")), encoding="utf-8")
    assert require_run.main([str(path), str(tmp_path / "absent.json")]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 0 failed"


def test_no_record_is_a_failure(tmp_path):
    """A CI that ran nothing is not green."""
    assert require_run.main([str(tmp_path / "absent.json")]) == 1


def report(covered, total, room="gates"):
    """Coverage's report of one file."""
    lines = {"covered_lines": covered, "num_statements": total, "covered_branches": 0, "num_branches": 0}
    return {"files": {f"src/roadworthy/{room}/x.py": {"summary": lines}}}


@pytest.mark.parametrize(
    ("covered", "total", "room", "holds"),
    [
        (100, 100, "gates", True),
        (9999, 10000, "gates", False),
        (90, 100, "probes", True),
        (899, 1000, "probes", False),
    ],
)
def test_each_room_has_its_share(covered, total, room, holds):
    """Not one line may be missing where decisions are made; elsewhere one in ten."""
    asked = {"default_share": 0.90, "room_share": {"gates": 1.0}}
    assert [found.holds for found in coverage_gates.rooms(report(covered, total, room), asked)] == [holds]


def test_a_room_that_falls_short_fails_the_run(tmp_path, capsys):
    """Exit code and table say which."""
    path = tmp_path / "coverage.json"
    path.write_text(json.dumps(report(1, 2)), encoding="utf-8")
    assert coverage_gates.main(str(path)) == 1
    assert "short by 1" in capsys.readouterr().out


def test_before_the_slow_tests_less_is_asked_of_what_they_cover(tmp_path, capsys):
    """Of those rooms only: where decisions are made nothing is let off."""
    path = tmp_path / "coverage.json"
    path.write_text(json.dumps(report(85, 100, "cli")), encoding="utf-8")
    assert coverage_gates.main(str(path)) == 1
    assert coverage_gates.main(str(path), "--before-slow") == 0
    path.write_text(json.dumps(report(99, 100, "gates")), encoding="utf-8")
    assert coverage_gates.main(str(path), "--before-slow") == 1


STORY = """
    import pytest

    def test_passes(): pass

    def test_fails(): assert False

    def test_skips(): pytest.skip("not today")

    @pytest.mark.xfail(strict=True)
    def test_expected(): assert False

    @pytest.fixture
    def broken(): raise ValueError

    def test_errs(broken): pass

    @pytest.mark.slow
    def test_slow(): pass

    def test_needs(shared_data): pass
"""


@pytest.mark.parametrize("workers", [(), ("-n", "2", "--dist", "worksteal")], ids=["one process", "two workers"])
def test_the_record_notes_every_outcome(pytester_run, workers):
    """Passed, failed, skipped, expected to fail, and taken away by the marks; also when workers share the tests."""
    outcomes = pytester_run(STORY, *workers)
    assert {name: test["outcome"] for name, test in outcomes.items()} == {
        "test_passes": "passed",
        "test_fails": "failed",
        "test_skips": "skipped",
        "test_expected": "xfailed",
        "test_errs": "failed",
        "test_slow": "not run",
        "test_needs": "skipped",
    }
    assert outcomes["test_slow"]["marks"] == ["slow"]
    assert outcomes["test_needs"]["marks"] == ["shared_data"]
    assert "not today" in outcomes["test_skips"]["reason"]


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["one process", "two workers"])
def test_a_file_that_skips_itself_is_noted(pytester_run, workers):
    """Its tests are never collected; without a line of its own nobody would miss them."""
    outcomes = pytester_run('import pytest\npytest.importorskip("no_such_library", reason="not here")\n', *workers)
    assert outcomes["test_story.py"]["outcome"] == "skipped"
    assert "not here" in outcomes["test_story.py"]["reason"]


WANTING = """
    import pytest, postgres_server, spark_cluster

    postgres_server.postgres_binaries = spark_cluster.java_home = lambda: None

    def test_postgres(postgres_url): pass

    def test_spark(spark_session): pass
"""


@pytest.mark.parametrize(("ci", "outcome"), [("", "skipped"), ("true", "failed")])
def test_a_server_that_cannot_start_is_a_skip_on_a_desk_and_a_failure_in_ci(pytester_run, monkeypatch, ci, outcome):
    """Where nothing is installed a person goes on without; the machine that judges does not."""
    monkeypatch.setenv("CI", ci)
    monkeypatch.delenv(house_marks.POSTGRES_URL, raising=False)
    outcomes = pytester_run(WANTING)
    assert {name: test["outcome"] for name, test in outcomes.items()} == dict.fromkeys(
        ["test_postgres", "test_spark"], outcome
    )
    if not ci:
        assert house_marks.NO_POSTGRES in outcomes["test_postgres"]["reason"]
        assert house_marks.NO_SPARK in outcomes["test_spark"]["reason"]


def test_a_test_whose_worker_died_is_noted(pytester_run):
    """The one that killed it failed; those that it had collected are not forgotten."""
    outcomes = pytester_run("import os\ndef test_dies(): os._exit(3)\ndef test_lives(): pass\n", "-n", "2")
    assert {name: test["outcome"] for name, test in outcomes.items()} == {"test_dies": "failed", "test_lives": "passed"}


def test_workers_are_measured_as_their_controller_is(tmp_path, pytester_run):
    """The lines that only a worker ran are in the combined data; a program that a test starts is not measured."""
    (tmp_path / "shop.py").write_text("def sell():\n    return 1\n\n\ndef close():\n    return 2\n", encoding="utf-8")
    (tmp_path / ".coveragerc").write_text("[run]\nsource = .\n", encoding="utf-8")
    story = """
        import subprocess, sys, shop

        def test_sells():
            assert shop.sell() == 1
            subprocess.run([sys.executable, "-c", "import shop; shop.close()"], check=True)
    """
    outcomes = pytester_run(story, "-n", "2", under=("coverage", "run", "-p", "-m"))
    assert outcomes["test_sells"]["outcome"] == "passed"
    for words in (("combine", "--quiet"), ("json", "--quiet", "-o", "seen.json")):
        subprocess.run([sys.executable, "-m", "coverage", *words], cwd=tmp_path, check=True)
    seen = json.loads((tmp_path / "seen.json").read_text(encoding="utf-8"))["files"]["shop.py"]
    assert (seen["executed_lines"], seen["missing_lines"]) == ([1, 2, 5], [6])


@pytest.fixture
def pytester_run(tmp_path, repo_root, monkeypatch):
    """Run a test file under the house's own conftest in a child and return the record by test name."""
    import_path = os.pathsep.join(
        [*(str(repo_root / folder) for folder in ("tests", "tests/house_site", "tools")), str(tmp_path)]
    )

    def run(source, *words, under=()):
        (tmp_path / "conftest.py").write_text(
            (repo_root / "tests/conftest.py").read_text(encoding="utf-8"), encoding="utf-8"
        )
        (tmp_path / "test_story.py").write_text(textwrap.dedent(source), encoding="utf-8")
        monkeypatch.setenv("PYTHONPATH", import_path)
        monkeypatch.setenv("ROADWORTHY_SHARED_DATA", str(tmp_path / "absent"))
        options = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly", "-m", "not slow", "--record=record.json"]
        command = [
            sys.executable,
            "-m",
            *under,
            "pytest",
            *options,
            *words,
            "-c",
            str(tmp_path / "none.ini"),
            "test_story.py",
        ]
        (tmp_path / "none.ini").write_text("[pytest]\nmarkers =\n  slow: x\n", encoding="utf-8")
        child = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (tmp_path / "record.json").exists(), child.stdout + child.stderr
        tests = json.loads((tmp_path / "record.json").read_text(encoding="utf-8"))
        return {name.rpartition("::")[2]: test for name, test in tests.items()}

    return run
