"""gateway.yaml: every problem at once, each with its line; nothing that contradicts itself passes."""

from pathlib import Path

import pytest

from roadworthy.base.errors import ManifestError, MissingFile
from roadworthy.gateway.config import GatewayConfig
from roadworthy.gateway.load_config import load_config, socket_path

GOOD = """\
gateway: 1
listen: 127.0.0.1:0
admin: 127.0.0.1:0
ledger: {folder: ledger, origin: example.org/test}
identity: {keys: keys.yaml}
policy: policy.yaml
use_cases:
  triage:
    tier: R2
    purposes: [care]
    routes:
      - {protocol: openai, models: [small]}
      - {protocol: json, path: /score}
    upstreams:
      main: {url: "http://127.0.0.1:9"}
      other: {url: "http://127.0.0.1:10"}
    fallback:
      - {alternate: other, evidence: "sha256:00"}
      - {refuse: Call the desk.}
"""
KEY = "ab" * 32
SECOND = """\
  second:
    tier: R1
    purposes: [care]
    routes: [ROUTE]
    upstreams: {main: {url: "http://127.0.0.1:9"}}
"""


def write(folder: Path, text: str = GOOD) -> Path:
    """The file and those that it names."""
    for name in ("keys.yaml", "policy.yaml"):
        (folder / name).touch()
    path = folder / "gateway.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_paths_start_at_the_folder_of_the_file(tmp_path: Path) -> None:
    """So the folder in which the process stands decides nothing."""
    config = load_config(write(tmp_path))
    assert isinstance(config, GatewayConfig)
    assert config.policy == tmp_path / "policy.yaml"
    assert config.identity.keys == tmp_path / "keys.yaml"
    assert socket_path(config) == tmp_path / "ledger" / "ledgerd.sock"
    named = GOOD.replace("ledger, origin", "ledger, socket: l.sock, origin")
    assert socket_path(load_config(write(tmp_path, named))) == tmp_path / "l.sock"


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("127.0.0.1:0\nadmin", "127.0.0.1:70000\nadmin", 2, "no port 70000"),
        ("127.0.0.1:0\nadmin: 127.0.0.1:0", "127.0.0.1:80\nadmin: 127.0.0.1:80", 3, "have one address"),
        ("{folder: ledger", "{folder: " + "l" * 120, 4, "more than 100"),
        ("{folder: ledger", "{witness_quorum: 1, folder: ledger", 4, "1 cosignatures are asked of 0"),
        ("policy.yaml", "nowhere.yaml", 6, "no file"),
        ("tier: R2", "tier: R3", 8, "served only with a certificate"),
        ("tier: R2", "tier: R0", 9, "prohibited"),
        ("path: /score", "path: /v1/score", 13, "lies inside the prefix /v1"),
        ("path: /score", "path: /feedback", 13, "the gateway's own"),
        ("small]}", "small, small]}", 12, "belongs to triage already"),
        ("tier: R2", f"admission: {{certificate: c, trusted_keys: [{KEY[:-1]}]}}\n    tier: R3", 9, "not a key"),
        ("tier: R2", "tierr: R2", 9, "Did you mean tier?"),
        ("  - {refuse", "  - {human: desk, evidence: x}\n      - {refuse", 17, "memory of one worker"),
        ("gateway: 1", "gateway: 1\ntls: {certificate: c.pem, key: k.pem}", 2, "no file"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    """One change to the good file."""
    assert old in GOOD
    text = GOOD.replace(old, new)
    if "human" in new:
        text = text.replace("listen:", "workers: 2\nlisten:")
        line += 1
    with pytest.raises(ManifestError) as caught:
        load_config(write(tmp_path, text))
    assert said in caught.value.what
    assert f"line {line}:" in caught.value.what


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ("{protocol: openai, models: [small]}", "model small at /v1 belongs to triage"),
        ("{protocol: json, path: /score}", "path /score belongs to triage"),
        ("{protocol: open-inference, prefix: /v1, model: m}", "/v1 speaks openai already"),
    ],
)
def test_two_use_cases_never_claim_one_route(tmp_path: Path, route: str, said: str) -> None:
    """Else the order of the file would decide who answers."""
    with pytest.raises(ManifestError, match=said):
        load_config(write(tmp_path, GOOD + SECOND.replace("ROUTE", route)))


def test_two_use_cases_share_a_prefix_with_models_of_their_own(tmp_path: Path) -> None:
    """The model decides."""
    text = GOOD + SECOND.replace("ROUTE", "{protocol: openai, models: [large]}")
    assert set(load_config(write(tmp_path, text)).use_cases) == {"triage", "second"}


def test_an_upper_tier_with_a_certificate_passes_before_the_file_is_there(tmp_path: Path) -> None:
    """Admission fails closed by itself until it comes."""
    admission = f"admission: {{certificate: later.json, trusted_keys: [{KEY}]}}"
    text = GOOD.replace("tier: R2", f"tier: R4\n    {admission}")
    found = load_config(write(tmp_path, text)).use_cases["triage"].admission
    assert found is not None
    assert found.certificate == tmp_path / "later.json"


def test_all_mistakes_are_listed_at_once(tmp_path: Path) -> None:
    """Nobody should have to run it three times."""
    text = GOOD.replace("tier: R2", "tier: R3").replace("/score", "/v1/x").replace("policy.yaml", "none.yaml")
    with pytest.raises(ManifestError, match="3 problem"):
        load_config(write(tmp_path, text))


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    """Not a traceback."""
    with pytest.raises(MissingFile):
        load_config(tmp_path / "gateway.yaml")
