import json
from pathlib import Path

import pytest

from roadworthy.base.digest import digest_bytes
from roadworthy.base.errors import MissingFile
from roadworthy.demo.answers.documents import read_documents
from roadworthy.demo.answers.extractive import Answerer
from roadworthy.demo.policy_client import PolicyCaller
from roadworthy.demo.policy_search import EMPLOYEE, EXAMPLE_PORTS, policy_search_files, write_keys, write_policy_search
from roadworthy.domain.risk import Tier
from roadworthy.domain.use_case import Part
from roadworthy.gateway.load_config import load_config
from roadworthy.packs.tier import classify, load_answers
from roadworthy.wiring.runtime import check_gateway
from roadworthy.wiring.workspace import Workspace

EXAMPLE = Path(__file__).parents[3] / "examples" / "gateway-policy-search"


@pytest.fixture
def folder(tmp_path):
    write_policy_search(tmp_path, EXAMPLE_PORTS)
    write_keys(tmp_path)
    return tmp_path


def test_the_example_is_what_the_demo_writes():
    """Every file, byte for byte; only the README is written by hand."""
    written = policy_search_files(EXAMPLE_PORTS)
    assert {name: (EXAMPLE / name).read_text(encoding="utf-8") for name in written} == written


def test_the_gateway_would_start(folder):
    """Its files fit together, and its tier is the one that the answers give."""
    check_gateway(folder / "gateway.yaml")
    (use_case,) = load_config(folder / "gateway.yaml").use_cases.values()
    assert use_case.tier is classify(load_answers(folder / "answers" / "tier.yaml")).tier is Tier.R2


def test_the_fallback_is_armed_by_its_own_count(folder):
    """It is worse than the search, and says so; the digest in gateway.yaml is that of the file."""
    (use_case,) = load_config(folder / "gateway.yaml").use_cases.values()
    data = (folder / "evaluation.json").read_bytes()
    assert use_case.fallback[0].evidence == digest_bytes(data)
    found = json.loads(data)["found"]
    assert found["texts"]["interval_95"][0] > found["titles"]["interval_95"][1]
    assert found["titles"]["share"] < found["texts"]["share"] / 2


def test_the_release_is_the_search_that_runs(folder):
    """By the digest that its server tells."""
    assert json.loads((folder / "search.json").read_bytes())["release"] == Answerer(read_documents()).release


def test_another_prompt_is_another_release_and_another_layout_is_not(folder):
    """The prompt set counts by its texts."""
    path = folder / "prompts.yaml"
    before = Workspace(folder / "roadworthy.yaml").proposal().subject.parts
    path.write_text("# a remark\n" + path.read_text())
    assert Workspace(folder / "roadworthy.yaml").proposal().subject.parts == before
    path.write_text(path.read_text().replace("{{question}}", "In one sentence: {{question}}"))
    after = Workspace(folder / "roadworthy.yaml").proposal().subject.parts
    assert {part for part in after if after[part] != before[part]} == {Part.PROMPT}


def test_a_caller_needs_the_prompt_of_the_release(folder):
    """RW-102 when the set has none of that name, or is not there."""
    path = folder / "prompts.yaml"
    path.write_text(path.read_text().replace("name: ask", "name: tell"))
    with pytest.raises(MissingFile, match="no prompt 'ask'"):
        PolicyCaller("http://127.0.0.1:1", folder / EMPLOYEE, path)
