"""Reading packs: everything wrong at once, each with its line, its path and a remedy."""

import pytest

from roadworthy.base.errors import MissingFile, PackError
from roadworthy.packs.load import builtin, builtins, load_pack


def problems(text):
    """The lines of the error that the text draws."""
    with pytest.raises(PackError) as caught:
        load_pack(text)
    return caught.value.what.splitlines()[1:]


def test_a_good_pack_loads(pack_text, tmp_path):
    """From text and from a file alike."""
    path = tmp_path / "mine.yaml"
    path.write_text(pack_text(), encoding="utf-8")
    pack = load_pack(path)
    assert pack == load_pack(pack_text())
    assert (pack.ref.id, pack.ref.version) == ("mine", 1)


def test_the_digest_is_of_the_content(pack_text):
    """Comments, layout and order of keys do not count; a number does."""
    text = pack_text()
    head, _, rest = text.partition("\n")
    same = f"# a comment\n{rest}\n{head}\n"
    assert load_pack(same).ref == load_pack(text).ref
    assert load_pack(text.replace("0.8", "0.9")).ref.digest != load_pack(text).ref.digest


def test_everything_is_reported_at_once_with_its_line(pack_text, make_criterion):
    """Schema, references and doubled keys in one list, in the order of the file."""
    broken = make_criterion(titel="x", sources=[{"document": "House rulez", "clause": "1"}])
    other = make_criterion(id="D2", gap_depends_on=["D9"], sources=[{"document": "House rulez", "clause": "1"}])
    text = pack_text(criteria=[broken, other]).replace("version: 1\n", "version: 1\nversion: 1\n")
    found = problems(text)
    lines = text.splitlines()
    assert [each.split(": ")[1] for each in found] == [
        "version",
        "criteria[0].titel",
        "criteria[1].gap_depends_on[0]",
        "criteria[1].sources[0].document",
    ]
    numbers = [int(each.strip().removeprefix("line ").split(":")[0]) for each in found]
    wanted = ["version: 1", "titel: x", "- D9", "- document: House rulez"]
    assert [lines[number - 1].strip() for number in numbers] == wanted
    assert "Did you mean title?" in found[1]
    assert "Did you mean House rules?" in found[3]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"check": None}, "A check needs a bound"),
        ({"accept": []}, "A check needs a bound"),
        ({"kind": "document"}, "A check cannot prove a criterion of kind document."),
        (
            {"kind": "signature", "check": None, "accept": [], "signer_roles": []},
            "Nothing can prove a criterion of kind signature that nobody signs.",
        ),
        ({"effort": {"low": 2, "likely": 1, "high": 3}}, "The person-days are out of order."),
        ({"gap_depends_on": ["D1"]}, "These gaps wait for each other: D1 -> D1."),
    ],
)
def test_a_criterion_that_contradicts_itself_is_refused(pack_text, make_criterion, change, said):
    """What could never be satisfied, or never fail, is found when the pack is read."""
    found = problems(pack_text(criteria=[make_criterion(**change)]))
    assert len(found) == 1
    assert said in found[0]


def test_two_bounds_on_one_metric_are_refused(pack_text, make_criterion):
    """Nobody could say which of them decides."""
    accept = make_criterion()["accept"]
    found = problems(pack_text(criteria=[make_criterion(accept=accept * 2)]))
    assert "The metric auc has 2 bounds." in found[0]


@pytest.mark.parametrize(
    ("accept", "said"),
    [
        ({"bound": {"param": "qualty.bound"}}, "Unknown parameter 'qualty.bound'. Did you mean quality.bound?"),
        ({"bound": {"param": "quality.op"}}, "The parameter 'quality.op' is not a number."),
        ({"op": {"param": "quality.bound"}}, "The parameter 'quality.bound' is not a comparator. Fitting: quality.op."),
    ],
)
def test_a_parameter_must_exist_and_fit(pack_text, make_criterion, accept, said):
    """A misspelt parameter would leave the bound undefined for ever."""
    predicate = make_criterion()["accept"][0] | accept
    assert said in problems(pack_text(criteria=[make_criterion(accept=[predicate])]))[0]


def test_an_id_stands_once(pack_text, make_criterion, make_gate):
    """Two criteria or gates of one name would hide each other."""
    found = problems(pack_text(criteria=[make_criterion(), make_criterion()], gates=[make_gate(), make_gate()]))
    assert [each.split(": ")[1] for each in found] == ["gates[1].id", "criteria[1].id"]


def test_a_circle_of_gaps_is_named(pack_text, make_criterion):
    """Such gaps could never be closed."""
    pair = [make_criterion(gap_depends_on=["D2"]), make_criterion(id="D2", gap_depends_on=["D1"])]
    assert "-> D1" in problems(pack_text(criteria=pair))[0]


def test_a_criterion_that_an_overlay_adds_is_examined_too(pack_text, make_criterion):
    """Its documents are among those of the overlay file."""
    operation = {"op": "add", "criterion": make_criterion(id="X1", sources=[{"document": "Elsewhere", "clause": "1"}])}
    found = problems(pack_text(overlays=[operation]))
    assert [each.split(": ")[1] for each in found] == ["overlays[0].criterion.sources[0].document"]


def test_without_sources_the_remedy_is_to_list_them(pack_text):
    """There is no nearest document where there is none."""
    assert "List it under sources." in problems(pack_text(sources=[]))[0]


@pytest.mark.parametrize("text", ["a: [", "checked_on: 2026-13-01", "[" * 500])
def test_what_is_not_yaml_is_an_input_error(text):
    """Syntax, impossible dates and absurd nesting."""
    with pytest.raises(PackError, match="not YAML"):
        load_pack(text)


@pytest.mark.parametrize("text", ["", "[]", "3", "criteria: 3\noverlays: [x]", "criteria: [x]\ngates: [3]"])
def test_another_shape_is_reported_by_the_schema(text):
    """No shape makes the examination itself fail."""
    assert problems(text)


def test_aliases_are_refused():
    """An alias may contain itself, and its line belongs to two places."""
    assert problems("a: &x [*x]\nb: *x") == [
        "  line 1: file: Aliases are not allowed. Write it out.",
        "  line 2: file: Aliases are not allowed. Write it out.",
    ]


def test_a_file_that_cannot_be_read(tmp_path):
    """Absent, or not UTF-8."""
    with pytest.raises(MissingFile):
        load_pack(tmp_path / "absent.yaml")
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"title: caf\xe9")
    with pytest.raises(PackError, match="UTF-8"):
        load_pack(path)


def test_built_in_packs_are_found_by_id_and_version():
    """The questionnaire lies beside them and is no pack."""
    assert [pack.ref.id for pack in builtins()] == ["enterprise", "hardening"]
    assert builtin("enterprise", 2).ref.id == "enterprise"


@pytest.mark.parametrize(("name", "version"), [("enterprise", 1), ("tier", 1), ("../library/enterprise", 1)])
def test_an_unknown_built_in_pack_names_those_that_exist(name, version):
    """The remedy can be copied."""
    with pytest.raises(PackError) as caught:
        builtin(name, version)
    assert "enterprise@2, hardening@2" in caught.value.remedy
