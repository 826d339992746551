"""Every import contract can be broken: a copy of the package, one forbidden import, and the tool must say so by name."""

import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest

FLOORS = "1 floors"
KNOT = "2 no cycles between siblings, at any depth"
VOCABULARY = "3 the vocabulary is standard library only"
SQL = "4 only the store speaks SQL"
CHECKS = "5 a check never imports another check"
WALLS = "6 built-in checks live by the rules of third parties"
LEDGER_DOOR = "7 one door into the ledger"
AUDITOR = "8 the auditor's verifier stands alone"
MIGRATIONS = "11 migrations are frozen"
TEST_KIT = "12 the test kit stays out of production"
RENDERING = "13 measuring never knows rendering"
PURE = "14 a decision needs no third party"
STORE_DOOR = "15 only wiring knows the store"

# contract, what happens, {new file: its text}
MUTATIONS = [
    (FLOORS, "domain -> store", {"domain/mutant.py": "import roadworthy.store.mutant\n", "store/mutant.py": ""}),
    (FLOORS, "gates -> ledger", {"gates/mutant.py": "import roadworthy.ledger.mutant\n", "ledger/mutant.py": ""}),
    (FLOORS, "probes -> measure", {"probes/mutant.py": "import roadworthy.measure.mutant\n", "measure/mutant.py": ""}),
    (
        FLOORS,
        "actions -> reports",
        {"actions/mutant.py": "import roadworthy.reports.mutant\n", "reports/mutant.py": ""},
    ),
    (
        FLOORS,
        "hidden in a function",
        {"domain/mutant.py": "def f():\n    import roadworthy.cli.mutant\n", "cli/mutant.py": ""},
    ),
    (
        FLOORS,
        "hidden from run time",
        {
            "base/mutant.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import roadworthy.domain.mutant\n",
            "domain/mutant.py": "",
        },
    ),
    (FLOORS, "a room without a floor", {"attic/__init__.py": "", "attic/mutant.py": ""}),
    (
        KNOT,
        "two siblings",
        {"gates/mutant.py": "import roadworthy.gates.mutual\n", "gates/mutual.py": "import roadworthy.gates.mutant\n"},
    ),
    (VOCABULARY, "base -> pydantic", {"base/mutant.py": "import pydantic\n"}),
    (VOCABULARY, "domain -> numpy", {"domain/mutant.py": "import numpy\n"}),
    (SQL, "wiring -> sqlalchemy", {"wiring/mutant.py": "import sqlalchemy.orm\n"}),
    (
        CHECKS,
        "check -> check of another family",
        {
            "checks/mutants/__init__.py": "",
            "checks/mutants/one.py": "import roadworthy.checks.others.two\n",
            "checks/others/__init__.py": "",
            "checks/others/two.py": "",
        },
    ),
    (
        CHECKS,
        "check -> check of its family",
        {
            "checks/mutants/__init__.py": "",
            "checks/mutants/one.py": "import roadworthy.checks.mutants.two\n",
            "checks/mutants/two.py": "",
        },
    ),
    (WALLS, "checks -> ledger", {"checks/mutant.py": "import roadworthy.ledger.mutant\n", "ledger/mutant.py": ""}),
    (LEDGER_DOOR, "actions -> ledger.append", {"actions/mutant.py": "import roadworthy.ledger.append\n"}),
    (STORE_DOOR, "cli -> store", {"cli/mutant.py": "import roadworthy.store.mutant\n", "store/mutant.py": ""}),
    (AUDITOR, "ledger -> domain", {"ledger/mutant.py": "import roadworthy.domain.mutant\n", "domain/mutant.py": ""}),
    (AUDITOR, "ledger -> numpy", {"ledger/mutant.py": "import numpy\n"}),
    (
        MIGRATIONS,
        "migration -> domain",
        {
            "store/migrations/__init__.py": "",
            "store/migrations/versions/__init__.py": "",
            "store/migrations/versions/mutant.py": "import roadworthy.domain.mutant\n",
            "domain/mutant.py": "",
        },
    ),
    (
        TEST_KIT,
        "actions -> kit.testing",
        {
            "actions/mutant.py": "import roadworthy.kit.testing.mutant\n",
            "kit/testing/__init__.py": "",
            "kit/testing/mutant.py": "",
        },
    ),
    (RENDERING, "measure -> rich", {"measure/mutant.py": "import rich.table\n"}),
    (PURE, "gates -> numpy outside plan", {"gates/mutant.py": "import numpy\n"}),
]


@pytest.fixture
def copied(repo_root, tmp_path):
    """A copy of the package and of the contracts, free to be spoilt."""
    shutil.copytree(repo_root / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(repo_root / "pyproject.toml", tmp_path)
    return tmp_path


def broken_contracts(folder):
    """The names of the contracts that the copy in ``folder`` breaks, and all that the tool said."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}
    environment["PYTHONPATH"] = os.pathsep.join([str(folder / "src"), environment["PYTHONPATH"]])
    program = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"
    child = subprocess.run(
        [sys.executable, "-c", program, "--no-cache"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = child.stdout.splitlines()
    assert any(line.startswith("Contracts:") for line in lines), child.stdout + child.stderr
    verdicts = (re.fullmatch(r"(.*) BROKEN(?: \(.*\))?", line) for line in lines)
    return {verdict[1] for verdict in verdicts if verdict}, child.stdout


def test_the_package_breaks_no_contract(copied):
    """Without a mutation everything holds, so that a broken contract below comes from the mutation."""
    assert broken_contracts(copied)[0] == set()


@pytest.mark.parametrize(("contract", "story", "files"), MUTATIONS, ids=[story for _, story, _ in MUTATIONS])
def test_a_forbidden_import_breaks_its_contract(copied, contract, story, files):
    """The contract that forbids it is named, and so is the culprit."""
    for name, text in files.items():
        path = copied / "src" / "roadworthy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    broken, said = broken_contracts(copied)
    assert contract in broken, said
    assert "mutant" in said or "attic" in said


def test_every_contract_has_a_mutation(repo_root):
    """A contract that nobody ever saw broken proves nothing."""
    project = tomllib.loads((repo_root / "pyproject.toml").read_text(encoding="utf-8"))
    asked = {contract["name"] for contract in project["tool"]["importlinter"]["contracts"]}
    assert asked == {contract for contract, _, _ in MUTATIONS}


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("TID251", "from datetime import UTC, datetime\n\nAT = datetime.now(UTC)\n"),
        ("TID251", "import time\n\nAT = time.time()\n"),
        ("TID251", "import uuid\n\nNAME = uuid.uuid4()\n"),
        ("TID251", "import random\n\nX = random.random()\n"),
        ("TID251", "import os\n\nX = os.urandom(8)\n"),
        ("TID251", "import secrets\n\nX = secrets.token_hex(8)\n"),
        ("PLC0415", "def f() -> None:\n    import os\n\n    os.getpid()\n"),
        ("BLE001", "try:\n    pass\nexcept Exception:\n    pass\n"),
        ("C901", "def f(x: int) -> int:\n" + "".join(f"    if x == {n}:\n        return {n}\n" for n in range(11))),
    ],
)
def test_the_linter_refuses(repo_root, rule, text):
    """What import contracts cannot say, ruff says; here for a file of the domain."""
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--no-cache",
        "--stdin-filename",
        "src/roadworthy/domain/mutant.py",
        "-",
    ]
    child = subprocess.run(command, cwd=repo_root, input=text, capture_output=True, text=True, check=False)
    assert rule in child.stdout


@pytest.mark.parametrize("name", ["clock", "ids"])
def test_the_clock_and_the_ids_are_excused(repo_root, name):
    """There is exactly one place for each."""
    path = repo_root / "src" / "roadworthy" / "base" / f"{name}.py"
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--select", "TID251", str(path)]
    assert subprocess.run(command, cwd=repo_root, capture_output=True, check=False).returncode == 0
