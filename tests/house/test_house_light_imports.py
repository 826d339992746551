"""A light import stays light: what really lands in ``sys.modules``, seen from a fresh interpreter."""

import json
import os
import subprocess
import sys

import pytest

_ASK = (
    "import json, sys; before = set(sys.modules); import {module}; "
    "print(json.dumps(sorted({{name.partition('.')[0] for name in set(sys.modules) - before}})))"
)


def foreign(module, repo_root):
    """Top-level names that importing ``module`` loads, without ours and the standard library's."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("COVERAGE", "COV_"))}
    environment["PYTHONPATH"] = os.pathsep.join([environment["PYTHONPATH"], str(repo_root / "src")])
    child = subprocess.run(
        [sys.executable, "-c", _ASK.format(module=module)], env=environment, capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr
    return {name for name in json.loads(child.stdout) if name not in sys.stdlib_module_names} - {"roadworthy"}


@pytest.mark.parametrize(
    "module",
    [
        "roadworthy",
        "roadworthy.base.errors",
        "roadworthy.domain.decision",
        "roadworthy.ports.trust",
        "roadworthy.gates.evaluate",
    ],
)
def test_loads_nothing_foreign(module, repo_root):
    """The vocabulary and the decision need the standard library alone."""
    assert foreign(module, repo_root) == set()


def test_the_auditors_verifier_loads_only_cryptography(repo_root):
    """Somebody who trusts nobody installs one library; the names with an underscore are its compiled parts."""
    assert foreign("roadworthy.ledger.verify", repo_root) <= {"cryptography", "_cffi_backend", "_openssl"}


@pytest.mark.parametrize("module", ["roadworthy.measure.quality", "roadworthy.probes.load.generator"])
def test_measuring_loads_no_rendering(module, repo_root):
    """An instrument can be used where nothing can be drawn."""
    assert not foreign(module, repo_root) & {"jinja2", "rich", "typer", "matplotlib", "plotly"}


def test_a_heavy_import_would_be_seen(repo_root):
    """The probe itself can fail."""
    assert "numpy" in foreign("numpy", repo_root)
