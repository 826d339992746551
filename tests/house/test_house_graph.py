"""The blind spots of the import contracts: what the import graph cannot see must not exist.

grimp counts neither what an ``__init__`` runs on the way to a submodule, nor folders without ``__init__``, nor files with
a dot in their names. And a contract that forbids a list of libraries says nothing about the next library.
"""

import sys
from pathlib import Path

import grimp
import pytest
from house_rules import FILLED_INITS

_ROOMS_BESIDE_THE_FLOORS = {"__init__", "__main__"}

# Which libraries a room may import at all; a folder within a room may have more. A room that is not listed imports none.
THIRD_PARTIES = {
    "base": set(),
    "domain": set(),
    "kit": {"pydantic", "pydantic_core", "yaml"},
    "kit.testing": {"pytest"},
    "ports": set(),
    "ledger": {"cryptography"},
    "packs": {"pydantic", "yaml"},
    "gates": {"numpy"},
    "stats": {"numpy", "scipy"},
    "wire": set(),
    "probes": {"numpy", "httptools", "uvloop"},
    "probes.rehearsal": {"cryptography", "yaml"},
    "measure": {
        "numpy",
        "scipy",
        "pyarrow",
        "duckdb",
        "sklearn",
        "yaml",
        "pydantic",
        "open_data_contract_standard",
        "mapie",
    },
    # Optional parts stand behind one adapter each, which says how to install them.
    "measure.answers": {"bm25s", "jsonschema", "referencing"},
    "measure.duplicates": {"splink"},
    "measure.terms": {"rapidfuzz"},
    "measure.profile": {"ibis", "psycopg"},
    "measure.volume": {"ibis", "sqlglot"},
    "checks": {"numpy", "pyarrow"},
    "actions": set(),
    "reports": {"jinja2", "markupsafe"},
    "store": {"sqlalchemy", "alembic", "cryptography"},
    "gateway": {
        "cryptography",
        "httptools",
        "joserfc",
        "orjson",
        "prometheus_client",
        "pydantic",
        "uvicorn",
        "uvloop",
        "yaml",
    },
    "gateway.tracing_otel": {"opentelemetry"},
    "ledgerd": {"cryptography", "uvloop"},
    "wiring": {"pydantic", "yaml"},
    "demo": {"numpy", "pyarrow", "sklearn", "uvicorn", "yaml"},
    "cli": {"typer", "rich", "yaml"},
}


def unseen(package: Path, modules: set[str]) -> list[str]:
    """Python files below ``package`` that are not in the graph, as paths."""
    missing = []
    for path in sorted(package.rglob("*.py")):
        parts = list(path.relative_to(package.parent).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        if ".".join(parts) not in modules or "." in path.stem:
            missing.append(str(path.relative_to(package.parent)))
    return missing


def filled_inits(package: Path) -> list[str]:
    """``__init__.py`` files that are not empty and not allowed to be filled."""
    inits = (path for path in sorted(package.rglob("__init__.py")) if path.read_text(encoding="utf-8").strip())
    return [name for path in inits if (name := path.relative_to(package.parent).as_posix()) not in FILLED_INITS]


@pytest.fixture(scope="session")
def package(repo_root):
    """The package's folder."""
    return repo_root / "src" / "roadworthy"


@pytest.fixture(scope="session")
def graph():
    """The import graph, foreign packages included, built afresh."""
    return grimp.build_graph("roadworthy", include_external_packages=True, cache_dir=None)


def test_every_file_is_in_the_graph(package, graph):
    """What is not in the graph is bound by no contract."""
    assert unseen(package, set(graph.modules)) == []


def test_a_folder_without_init_would_be_found(tmp_path):
    """grimp skips such a folder in silence; we do not."""
    (tmp_path / "roadworthy" / "room").mkdir(parents=True)
    (tmp_path / "roadworthy" / "__init__.py").touch()
    (tmp_path / "roadworthy" / "room" / "hidden.py").touch()
    assert unseen(tmp_path / "roadworthy", {"roadworthy"}) == [str(Path("roadworthy/room/hidden.py"))]


def test_a_dotted_file_name_would_be_found(tmp_path):
    """``v1.2.py`` looks like a module in a folder that is none."""
    (tmp_path / "roadworthy").mkdir()
    (tmp_path / "roadworthy" / "v1.2.py").touch()
    assert unseen(tmp_path / "roadworthy", {"roadworthy.v1.2"}) == [str(Path("roadworthy/v1.2.py"))]


def test_inits_are_empty(package):
    """An ``__init__`` runs on the way to every submodule, unseen by the contracts."""
    assert filled_inits(package) == []


def test_a_filled_init_would_be_found(tmp_path):
    """The root's and kit's may say something; no other."""
    for folder in ("roadworthy", "roadworthy/kit", "roadworthy/gates"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text("import numpy\n", encoding="utf-8")
    assert filled_inits(tmp_path / "roadworthy") == ["roadworthy/gates/__init__.py"]


def test_the_filled_inits_hold_no_foreign_import(graph):
    """The two exceptions import nothing from outside."""
    for name in ("roadworthy", "roadworthy.kit"):
        foreign = {m.partition(".")[0] for m in graph.find_modules_directly_imported_by(name)} - {"roadworthy"}
        assert foreign <= set(sys.stdlib_module_names), name


def test_each_room_imports_only_its_libraries(graph):
    """A new library in a room is a decision: it is made here, in the open."""
    surprises = set()
    for importer in graph.modules:
        _, room, part, *_ = [*importer.split("."), "__init__", ""]
        if not importer.startswith("roadworthy") or room in _ROOMS_BESIDE_THE_FLOORS:
            continue
        allowed = THIRD_PARTIES.get(room, set()) | THIRD_PARTIES.get(f"{room}.{part}", set())
        for imported in graph.find_modules_directly_imported_by(importer):
            library = imported.partition(".")[0]
            known = library == "roadworthy" or library in sys.stdlib_module_names
            if not known and library not in allowed:
                surprises.add(f"{importer} -> {library}")
    assert sorted(surprises) == []


def test_only_the_planner_of_the_gates_uses_numpy(graph):
    """Dates are simulated there; whatever decides needs the standard library alone."""
    users = graph.find_modules_that_directly_import("numpy") if "numpy" in graph.modules else set()
    assert {user for user in users if user.startswith("roadworthy.gates")} <= {"roadworthy.gates.plan"}
