"""The configuration of a rehearsal: the operator's own, with as little changed as a rehearsal allows.

What is changed, and nothing else::

    listen, admin             free ports of the loopback interface
    node                      marked, so that no leaf passes for the operator's
    ledger                    a folder of its own; origin with /rehearsal; no witnesses, who would cosign another log
    identity, admin_keys      keys made for the rehearsal, no identity provider
    telemetry                 no collector: figures of a rehearsal do not belong among those of production
    use_cases                 only the one that is rehearsed, so that nobody else's system is contacted
    its upstreams             those that are replaced: the address; neither credentials nor certificates go there
    its admission             the cohorts of the rehearsal's callers are added to the pilot's
    its limits                no rate for one caller: one caller of the rehearsal stands for many

Rules kept here:
1. The policy stays the operator's own file. Every path is made absolute, since the copy lies elsewhere.
2. Every change is told in words, as a fact of the evidence.
"""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roadworthy.base.errors import ParameterError
from roadworthy.probes.rehearsal.declared import Declared
from roadworthy.probes.rehearsal.identities import Identity, key_file

PRIMARY = "primary"
_FREE = "127.0.0.1:0"
CHANGES = (
    "addresses: free ports of the loopback interface",
    "ledger: a folder and a name of its own, without witnesses",
    "identity: keys made for the rehearsal, no identity provider",
    "telemetry: none",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """What was written.

    Attributes:
        path: of the derived configuration.
        ledger: folder of the rehearsal's ledger.
        changes: what differs from the operator's file, in words.
    """

    path: Path
    ledger: Path
    changes: tuple[str, ...]


def derive(
    declared: Declared,
    *,
    workdir: Path,
    socket: Path,
    upstreams: Mapping[str, str],
    identities: Sequence[Identity],
    admin: Identity,
) -> Derived:
    """Write the configuration of a rehearsal and its key files.

    Args:
        declared: the operator's.
        workdir: an empty folder.
        socket: short path of the ledger's socket.
        upstreams: addresses to put in place of the declared ones, by name; ``primary`` is the first of them.
        identities: the callers.
        admin: who switches and reviews.

    Raises:
        ParameterError: an upstream is replaced that is not declared (RW-114).
    """
    config: dict[str, Any] = copy.deepcopy(dict(declared.config))
    ledger, block = workdir / "ledger", config["use_cases"][declared.name]
    config["listen"] = config["admin"] = _FREE
    config["node"] = f"{config.get('node', 'node-1')}-rehearsal"[:64]
    config["ledger"] = {
        "folder": str(ledger),
        "origin": f"{config['ledger']['origin']}/rehearsal",
        "socket": str(socket),
        **{key: value for key, value in config["ledger"].items() if key == "most_waiting"},
    }
    config["identity"] = {"keys": _written(workdir / "keys.json", key_file(identities))}
    config["admin_keys"] = _written(workdir / "admin-keys.json", key_file([admin]))
    config.pop("telemetry", None)
    _absolute(config, declared.path.parent, ("policy",))
    for key in ("certificate", "key"):
        _absolute(config.get("tls") or {}, declared.path.parent, (key,))
    changes = [*CHANGES, *_use_case(block, declared, upstreams, identities)]
    if len(config["use_cases"]) > 1:
        changes.append(f"use cases: only {declared.name}")
    config["use_cases"] = {declared.name: block}
    path = workdir / "gateway.json"
    _written(path, config)  # JSON is YAML
    return Derived(path=path, ledger=ledger, changes=tuple(changes))


def _use_case(
    block: dict[str, Any], declared: Declared, upstreams: Mapping[str, str], identities: Sequence[Identity]
) -> list[str]:
    folder, changes = declared.path.parent, []
    for given, url in upstreams.items():
        name = declared.upstreams[0] if given == PRIMARY and PRIMARY not in block["upstreams"] else given
        if name not in block["upstreams"]:
            known = ", ".join(declared.upstreams)
            raise ParameterError(f"No upstream is called {given!r}.", remedy=f"Declared are: {known}.")
        upstream = block["upstreams"][name]
        upstream["url"] = url
        upstream.pop("headers", None)
        upstream.pop("ca", None)
        changes.append(f"upstream {name}: a stand-in, or a way to it on which faults can be put")
    for upstream in block["upstreams"].values():
        _absolute(upstream, folder, ("ca",))
        _absolute(upstream.get("headers") or {}, folder, tuple(upstream.get("headers") or ()))
    for rung in block.get("fallback") or ():
        _absolute(rung, folder, ("cached", "rule"))
    _absolute(block.get("filter") or {}, folder, ("contract",))
    _absolute(block.get("citations") or {}, folder, ("scopes",))
    admission = block.get("admission")
    if admission:
        _absolute(admission, folder, ("certificate", "revocations"))
        cohorts = {*(admission.get("pilot_cohorts") or ()), *(each.cohort for each in identities)}
        admission["pilot_cohorts"] = sorted(cohorts)
        changes.append("admission: the callers of the rehearsal are in the pilot's cohorts")
    if (block.get("limits") or {}).pop("caller_rps", None) is not None:
        changes.append("limits: no rate for one caller, since one caller of the rehearsal stands for many")
    return changes


def _absolute(block: dict[str, Any], folder: Path, keys: Sequence[str]) -> None:
    for key in keys:
        if block.get(key) is not None:
            block[key] = str(folder / str(block[key]))


def _written(path: Path, value: Mapping[str, Any]) -> str:
    path.write_text(json.dumps(value), encoding="utf-8")
    path.chmod(0o600)
    return str(path)
