"""A prompt set as a part of a release: what makes another release, what grows stale, and that the pin notices."""

import pytest

from roadworthy.checks.catalog import find_check
from roadworthy.domain.use_case import Part
from roadworthy.kit.check import Run
from roadworthy.kit.context import CheckContext
from roadworthy.wiring.workspace import Workspace
from small_project import Project

PROMPTS = """\
roadworthyPrompts: 1
prompts:
  - {name: sort, model: m-1, parameters: {temperature: 0}, file: sort.txt}
"""


@pytest.fixture
def prompted(project: Project) -> Project:
    """With a prompt set, on which T14 depends."""
    project.edit("roadworthy.yaml", "config: serving.yaml", "config: serving.yaml, prompt: prompts/set.yaml")
    project.edit("packs/road.yaml", "[model, config, data_contract]", "[model, prompt]")
    (project.folder / "prompts").mkdir()
    (project.folder / "prompts/set.yaml").write_text(PROMPTS)
    (project.folder / "prompts/sort.txt").write_text("Sort.")
    return project


def release(project: Project) -> tuple[str, str]:
    """Digest of the release, and of its prompt."""
    subject = Workspace(project.manifest).proposal().subject
    return subject.release_digest, subject.parts[Part.PROMPT]


def due(project: Project) -> dict[str, str]:
    """What would run now, and why."""
    workspace = Workspace(project.manifest)
    try:
        case = workspace.synchronise(workspace.proposal())
        return workspace.due(case, workspace.clock())
    finally:
        workspace.close()


CHANGES = [("set.yaml", "temperature: 0", "temperature: 1"), ("sort.txt", "Sort.", "Sort it.")]


@pytest.mark.parametrize(("name", "old", "new"), CHANGES)
def test_a_changed_parameter_or_text_is_another_release(prompted: Project, name: str, old: str, new: str) -> None:
    """And what was shown of the old one has to be shown again."""
    before = release(prompted)
    assert prompted.run("inspect") == 1
    assert due(prompted) == {}
    prompted.edit(f"prompts/{name}", old, new)
    after = release(prompted)
    assert (after[0] != before[0], after[1] != before[1]) == (True, True)
    assert set(due(prompted)) == {"T14"}


def test_another_layout_is_the_same_release(prompted: Project) -> None:
    """Comments and line breaks reach no model."""
    before = release(prompted)
    assert prompted.run("inspect") == 1
    prompted.edit("prompts/set.yaml", "prompts:", "# sorted by hand\nprompts:\n")
    assert release(prompted) == before
    assert due(prompted) == {}


@pytest.mark.parametrize(("name", "old", "new"), [*CHANGES, ("set.yaml", "prompts:", "prompts: # the same\n")])
def test_the_pin_of_a_prompt_set_is_what_it_says(prompted: Project, name: str, old: str, new: str) -> None:
    """The check reads the set again: a change behind the registered release is seen, another layout is none."""
    workspace = Workspace(prompted.manifest)
    subject = workspace.proposal().subject
    prompted.edit(f"prompts/{name}", old, new)
    (prompted.folder / "work").mkdir()
    context = workspace.context(workspace.clock(), 1, prompted.folder / "work", subject)
    assert pinned(context) == ([] if "the same" in new else ["prompt"])


def pinned(context: CheckContext) -> list[str]:
    """The parts that the check finds changed."""
    check = find_check("release.pinned")
    with check.subject(context) as subject:
        seen = check.observe(subject, check.params(), Run(at=context.at, seed=1, cancelled=lambda: False))
    return [row["part"] for row in seen.facts["parts"] if row["changed"]]
