"""The sources of an answer against the scopes of the caller."""

import json

import pytest

from roadworthy.base.errors import ManifestError
from roadworthy.domain.exchange import Caller
from roadworthy.gateway import citations
from roadworthy.gateway.citations import Cite, cite_of
from roadworthy.gateway.config import Citations
from roadworthy.gateway.exchange import Reason, Refused
from roadworthy.gateway.policy import load_policy

POLICY = """
policy: 1
grants:
  - {roles: ["*"], use_cases: [search], purposes: [care], data_scopes: ["*"], cohorts: ["*"]}
deny:
  - {data_scopes: [embargo]}
"""
SCOPES = "source_scopes: 1\nsources: {doc-1: public, doc-2: cardiology, '7': public, doc-5: embargo}\n"


def caller(*scopes):
    return Caller(
        id="a",
        credential="k",
        roles=frozenset(),
        cohort="",
        scopes=frozenset(scopes),
        purposes=frozenset({"care"}),
        expires_at_s=9e9,
    )


@pytest.fixture
def scopes(tmp_path):
    path = tmp_path / "scopes.yaml"
    path.write_text(SCOPES)
    return path


def cite(ids_at, scopes):
    """The stage over a policy for one use case and one purpose."""
    path = scopes.parent / "policy.yaml"
    path.write_text(POLICY)
    return Cite(ids_at, scopes, load_policy(path))


def ask(stage, who, document, *, use_case="search", purpose="care", admitted=None):
    body = json.dumps(document).encode()
    clean, denied = stage.check(who, use_case, purpose, admitted, body)
    assert (clean is body) == (denied == ())
    return json.loads(clean), denied


def test_reachable_sources_change_nothing(scopes):
    """The very same bytes leave."""
    stage = cite("/sources", scopes)
    for document in (
        {"sources": ["doc-1", 7]},
        {"sources": []},
        {"sources": None},
        {"text": "x"},
        None,
        {"sources": "doc-1"},
    ):
        assert ask(stage, caller("public"), document) == (document, ())


def test_a_denied_id_keeps_its_place(scopes):
    """In a list of ids, and where there is one id only."""
    stage = cite("/sources", scopes)
    found = ask(stage, caller("public"), {"text": "as in [2]", "sources": ["doc-1", "doc-2", "doc-2"]})
    assert found == ({"text": "as in [2]", "sources": ["doc-1", "redacted", "redacted"]}, ("doc-2",))
    assert ask(stage, caller("public"), {"sources": "doc-2"}) == ({"sources": "redacted"}, ("doc-2",))


def test_a_denied_source_loses_what_it_says(scopes):
    """An object in a list that holds the id goes with its title and excerpt; an answer without sources stays."""
    stage = cite("/choices/*/message/citations/*/id", scopes)
    cited = [{"id": "doc-1", "title": "A"}, {"id": "doc-2", "title": "secret"}]
    document = {"choices": [{"message": {"citations": cited}}, {"message": {}}, {"message": None}, None]}
    found, denied = ask(stage, caller("public"), document)
    assert found["choices"][0]["message"]["citations"] == [cited[0], {"id": "redacted"}]
    assert found["choices"][1:] == document["choices"][1:]
    assert denied == ("doc-2",)


def test_the_item_of_the_last_star_is_the_source(scopes):
    """Its id may lie deeper, or be several; a list of ids for every item has a star of its own."""
    found, _ = ask(cite("/a/*/ref/id", scopes), caller(), {"a": [{"ref": {"id": "doc-1", "n": 1}, "k": 2}]})
    assert found == {"a": [{"ref": {"id": "redacted"}}]}
    both = {"a": [{"ids": ["doc-1"], "k": 1}, {"ids": ["doc-1", "doc-2"], "k": 2}]}
    found, _ = ask(cite("/a/*/ids", scopes), caller("public"), both)
    assert found == {"a": [both["a"][0], {"ids": "redacted"}]}
    found, _ = ask(cite("/a/*/ids/*", scopes), caller("public"), {**both, "b": 1})
    assert found == {"a": [both["a"][0], {"ids": ["doc-1", "redacted"], "k": 2}], "b": 1}
    found, _ = ask(cite("/a/0", scopes), caller(), {"a": ["doc-1", "x"]})
    assert found == {"a": ["redacted", "x"]}
    found, _ = ask(cite("/a/*/0", scopes), caller("public"), {"a": [["doc-1", "A"], ["doc-2", "secret"], []]})
    assert found == {"a": [["doc-1", "A"], "redacted", "redacted"]}
    found, _ = ask(cite("/a/*", scopes), caller("public"), {"a": [["doc-1", "doc-2"], []]})
    assert found == {"a": [["doc-1", "redacted"], []]}


@pytest.mark.parametrize(
    "source",
    [{"title": "secret"}, {"id": None, "title": "secret"}, {"id": {"id": "doc-1"}}, {"id": []}, {"ID": "doc-1"},
     {"id": True}, {"id": 7.0}, "doc-1", None, 5, ["doc-1"]],
)  # fmt: skip
def test_a_source_of_another_form_is_denied(scopes, source):
    """Without an id, with null or an object for it, or no object at all."""
    found, denied = ask(cite("/s/*/id", scopes), caller("*"), {"s": [{"id": "doc-1"}, source]})
    assert found == {"s": [{"id": "doc-1"}, {"id": "redacted"} if isinstance(source, dict) else "redacted"]}
    assert denied == ("unknown",)


@pytest.mark.parametrize("ids_at", ["/s/*/id", "/s/*", "/s/*/*", "/s/x/y"])
@pytest.mark.parametrize("there", ["doc-2: secret", 5, True])
def test_where_a_list_should_be_anything_else_is_denied(scopes, ids_at, there):
    """Nobody knows what it says; of a list of sources that is an object, likewise."""
    assert ask(cite(ids_at, scopes), caller("public"), {"s": there, "t": 1})[0] == {"s": "redacted", "t": 1}
    assert ask(cite("/s/*/id", scopes), caller("public"), {"s": {"doc-2": "secret"}})[0] == {"s": "redacted"}


def test_a_denied_source_without_a_place_holds_the_answer_back(scopes):
    """An answer that is a text or a list, though sources were declared as a member."""
    for ids_at, document in (("/s", "secret"), ("/*/id", {"id": "doc-1"}), ("", "doc-2"), ("/s", True)):
        with pytest.raises(Refused) as caught:
            ask(cite(ids_at, scopes), caller("public"), document)
        assert caught.value.status == 502
    assert ask(cite("", scopes), caller("public"), "doc-1") == ("doc-1", ())


def test_policy_purpose_and_certificate_bound_sources_too(scopes):
    """Not only what the caller holds: each of the four alone denies."""
    stage, document = cite("/s", scopes), {"s": ["doc-1", "doc-2"]}
    assert ask(stage, caller("*"), document)[1] == ()
    assert ask(stage, caller("*"), document, admitted=frozenset({"public"}))[1] == ("doc-2",)
    assert ask(stage, caller("*"), document, admitted=frozenset())[1] == ("doc-1", "doc-2")
    assert ask(stage, caller("*"), document, purpose="billing")[1] == ("doc-1", "doc-2")
    assert ask(stage, caller("*"), document, use_case="heart")[1] == ("doc-1", "doc-2")
    assert ask(stage, caller("*"), {"s": ["doc-5"]})[1] == ("doc-5",)


def test_a_source_without_a_scope_is_denied(scopes):
    """Also for a caller who holds every scope; what is no id is not written into the record."""
    stage = cite("/sources", scopes)
    found, denied = ask(stage, caller("*"), {"sources": ["doc-2", "doc-9", True, {"name": "Ann"}, None]})
    assert found == {"sources": ["doc-2", *["redacted"] * 4]}
    assert denied == ("unknown",)


def test_the_record_stays_short(scopes):
    """At most twenty ids, each shortened; all of them are blotted out."""
    names = [f"{number}" + "x" * 500 for number in range(50)]
    scopes.write_text(json.dumps({"source_scopes": 1, "sources": dict.fromkeys(names, "embargo")}))
    found, denied = ask(cite("/s", scopes), caller("*"), {"s": names})
    assert set(found["s"]) == {"redacted"}
    assert (len(denied), {len(each) for each in denied}) == (20, {200})


def test_an_answer_that_is_no_json_does_not_leave(scopes):
    """It cannot be checked; nor one that two readers may read in two ways."""
    twice = b'{"sources":["doc-2"],"sources":["doc-1"]}'
    for body in (b"", b"data: {}", b"\xff", twice, twice.replace(b'"so', b'"\\u0073o', 1)):
        with pytest.raises(Refused) as caught:
            cite("/sources", scopes).check(caller("*"), "search", "care", None, body)
        assert (caught.value.reason, caught.value.status) == (Reason.UPSTREAM_FAILED, 502)


def test_an_answer_that_cannot_be_written_again_does_not_leave(scopes):
    """Nested deeper than the writer goes."""
    body = b'{"s":["doc-2"],"d":' + b"[" * 300 + b"]" * 300 + b"}"
    with pytest.raises(Refused):
        cite("/s", scopes).check(caller("public"), "search", "care", None, body)


def test_a_change_of_scopes_is_seen(scopes, monkeypatch):
    """And a damaged list gives nobody a scope."""
    times = iter(range(0, 100, 5))
    monkeypatch.setattr(citations, "monotonic_s", lambda: float(next(times)))
    stage = cite_of(Citations(ids_at="/s", scopes=scopes), cite("/s", scopes)._authorise)
    assert ask(stage, caller("public"), {"s": ["doc-2"]})[1] == ("doc-2",)
    scopes.write_text(SCOPES.replace("cardiology", "public"))
    assert ask(stage, caller("public"), {"s": ["doc-2"]})[1] == ()
    scopes.write_text("source_scopes: 1\nsources: [")
    assert ask(stage, caller("public"), {"s": ["doc-2"]})[1] == ("unknown",)
    assert "not YAML" in stage.fault


def test_scopes_may_be_json(tmp_path):
    """What a program writes."""
    path = tmp_path / "scopes.json"
    path.write_text('{"source_scopes": 1, "sources": {"doc-1": "public"}}')
    stage = cite("/s", path)
    assert ask(stage, caller("public"), {"s": ["doc-1"]})[1] == ()
    path.write_text('{"source_scopes": 1, "sources": {"doc-1": 5}}')
    broken = cite("/s", path)
    assert ask(broken, caller("public"), {"s": ["doc-1"]})[1] == ("unknown",)
    assert "1 problem(s)" in broken.fault


def test_a_pointer_that_is_none_is_refused(scopes):
    """Before any traffic."""
    with pytest.raises(ManifestError):
        cite("sources", scopes)
