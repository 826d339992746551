"""Small packs to take apart: one criterion, one gate, changed key by key."""

import copy

import pytest
import yaml

from roadworthy.packs.load import load_pack

CRITERION = {
    "id": "D1",
    "domain": "data",
    "title": "Good enough",
    "kind": "executable",
    "check": "performance.production",
    "accept": [{"metric": "auc", "op": ">=", "bound": 0.8, "unit": "1", "n_min": 30, "provenance": "House rule."}],
    "depends_on": ["model"],
    "max_age_days": {"R1": 90, "R2": 60, "R3": 30, "R4": 30},
    "waivable_at": ["R1", "R2"],
    "min_assurance": "third_party",
    "signer_roles": ["validator"],
    "may_not_apply": True,
    "required_from": "R2",
    "effort": {"low": 1, "likely": 2, "high": 4},
    "owner_role": "validator",
    "gap_depends_on": [],
    "sources": [{"document": "House rules", "clause": "1"}],
}
SEATS = [{"role": "business_owner", "count": 1}, {"role": "system_owner", "count": 1}]
GATE = {
    "id": "go-live",
    "title": "Go-live",
    "quorum": {"R1": SEATS, "R2": SEATS, "R3": SEATS, "R4": SEATS},
    "independent_from": "R3",
    "waiver_days": {"R1": 90, "R2": 60, "R3": 30, "R4": 14},
    "max_waivers": 3,
    "conditional_wave_share": 0.05,
}


class _WithoutAliases(yaml.SafeDumper):
    def ignore_aliases(self, data):
        return True


@pytest.fixture(scope="session")
def make_criterion():
    """The content of one criterion, with changes."""
    return lambda **changes: copy.deepcopy(CRITERION) | changes


@pytest.fixture(scope="session")
def make_gate():
    """The content of one gate, with changes."""
    return lambda **changes: copy.deepcopy(GATE) | changes


@pytest.fixture(scope="session")
def pack_text():
    """The text of a pack file with one criterion and one gate, with changes."""

    def write(**changes):
        content = {
            "id": "mine",
            "version": 1,
            "title": "Mine",
            "status": "active",
            "sources": [{"document": "House rules", "checked_on": "2026-01-01"}],
            "gates": [GATE],
            "criteria": [CRITERION],
        }
        return yaml.dump(content | changes, Dumper=_WithoutAliases, sort_keys=False)

    return write


@pytest.fixture(scope="session")
def make_pack(pack_text):
    """That pack, loaded."""
    return lambda **changes: load_pack(pack_text(**changes))


@pytest.fixture(scope="session")
def make_overlay(make_pack):
    """An overlay file with the given operations."""
    return lambda *operations, name="house": make_pack(id=name, gates=[], criteria=[], overlays=list(operations))
