"""A small gateway for specimens: one use case, two upstreams, one policy, deadlines of tenths of a second.

Owns the files of that gateway. Leaves alone the upstreams, which the specimen brings.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from roadworthy.base.digest import digest_bytes

USE_CASE = "specimen"
PURPOSE, SCOPE = "care", "site-a"
ROLE, OTHER_ROLE = "clinician", "clerk"
ALTERNATE, NOTICE = "second", "Another system gave this answer."
_NOWHERE = "http://127.0.0.1:9"
_DEADLINES = {"connect_s": 0.3, "first_byte_s": 0.6, "idle_s": 0.5, "total_s": 2.0}
_BREAKER = {"open_s": 0.2}


def grant(*roles: str, scope: str = SCOPE) -> dict[str, list[str]]:
    """One grant of the small policy."""
    return {
        "roles": list(roles),
        "use_cases": [USE_CASE],
        "purposes": [PURPOSE],
        "data_scopes": [scope],
        "cohorts": ["*"],
    }


def small_gateway(
    folder: Path,
    *,
    grants: Sequence[Mapping[str, Any]] | None = None,
    fallback: Sequence[Mapping[str, Any]] | None = None,
) -> Path:
    """Write the files of a small gateway; the path of its gateway.yaml.

    Args:
        folder: made when it is not there.
        grants: of the policy; one for ``ROLE`` when not given.
        fallback: the ladder; an alternate and a refusal when not given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    upstream = {"url": _NOWHERE, "deadlines": _DEADLINES, "breaker": _BREAKER, "most_answer_bytes": 1 << 20}
    ladder = [
        {"alternate": ALTERNATE, "evidence": digest_bytes(b"specimen"), "notice": NOTICE},
        {"refuse": "Please use the manual procedure."},
    ]
    config = {
        "gateway": 1,
        "drain_s": 1,
        "ledger": {"folder": "ledger", "origin": "example.org/specimen"},
        "identity": {"keys": "keys.json"},
        "policy": "policy.json",
        "use_cases": {
            USE_CASE: {
                "tier": "R2",
                "purposes": [PURPOSE],
                "routes": [{"protocol": "openai", "models": ["stand-in"]}, {"protocol": "json", "path": "/score"}],
                "upstreams": {"main": upstream, ALTERNATE: upstream},
                "retries": {"most": 0},
                "fallback": list(fallback) if fallback is not None else ladder,
            }
        },
    }
    policy = {"policy": 1, "grants": list(grants) if grants is not None else [grant(ROLE)]}
    (folder / "policy.json").write_text(json.dumps(policy), encoding="utf-8")
    path = folder / "gateway.yaml"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path
