"""The sources of an answer against the scopes of the caller."""

import json

import pytest

from roadworthy.base.errors import ManifestError
from roadworthy.domain.exchange import Caller
from roadworthy.gateway import citations
from roadworthy.gateway.citations import Cite, cite_of
from roadworthy.gateway.config import Citations
from roadworthy.gateway.exchange import Reason, Refused

SCOPES = "source_scopes: 1\nsources: {doc-1: public, doc-2: cardiology, '7': public}\n"


def caller(*scopes):
    return Caller(
        id="a",
        credential="k",
        roles=frozenset(),
        cohort="",
        scopes=frozenset(scopes),
        purposes=frozenset(),
        expires_at_s=9e9,
    )


@pytest.fixture
def scopes(tmp_path):
    path = tmp_path / "scopes.yaml"
    path.write_text(SCOPES)
    return path


def ask(stage, who, document):
    body = json.dumps(document).encode()
    clean, denied = stage.check(who, body)
    assert (clean is body) == (denied == ())
    return json.loads(clean), denied


def test_reachable_sources_change_nothing(scopes):
    """The very same bytes leave."""
    stage = Cite("/sources", scopes)
    for document in (
        {"sources": ["doc-1", 7]},
        {"sources": []},
        {"sources": None},
        {"text": "x"},
        5,
        {"sources": "doc-1"},
    ):
        assert ask(stage, caller("public"), document) == (document, ())


def test_a_denied_id_keeps_its_place(scopes):
    """In a list of ids, and where there is one id only."""
    stage = Cite("/sources", scopes)
    found = ask(stage, caller("public"), {"text": "as in [2]", "sources": ["doc-1", "doc-2", "doc-2"]})
    assert found == ({"text": "as in [2]", "sources": ["doc-1", "redacted", "redacted"]}, ("doc-2",))
    assert ask(stage, caller("public"), {"sources": "doc-2"}) == ({"sources": "redacted"}, ("doc-2",))


def test_a_denied_source_loses_what_it_says(scopes):
    """An object in a list that holds the id goes with its title and excerpt."""
    stage = Cite("/choices/*/message/citations/*/id", scopes)
    cited = [{"id": "doc-1", "title": "A"}, {"id": "doc-2", "title": "secret"}, {"title": "no id"}]
    document = {"choices": [{"message": {"citations": cited}}, {"message": {}}, 5]}
    found, denied = ask(stage, caller("public"), document)
    assert found["choices"][0]["message"]["citations"] == [cited[0], {"id": "redacted"}, cited[2]]
    assert found["choices"][1:] == document["choices"][1:]
    assert denied == ("doc-2",)


def test_ids_deeper_in_an_item_lose_the_id(scopes):
    """Only the object that holds the id itself is the source."""
    stage = Cite("/a/*/ref/id", scopes)
    found, _ = ask(stage, caller(), {"a": [{"ref": {"id": "doc-1", "n": 1}, "k": 2}]})
    assert found == {"a": [{"ref": {"id": "redacted", "n": 1}, "k": 2}]}
    found, _ = ask(Cite("/a/*/ids", scopes), caller(), {"a": [{"ids": ["doc-1"], "k": 2}]})
    assert found == {"a": [{"ids": ["redacted"], "k": 2}]}
    found, _ = ask(Cite("/a/0", scopes), caller(), {"a": ["doc-1", "x"]})
    assert found == {"a": ["redacted", "x"]}


def test_a_source_without_a_scope_is_denied(scopes):
    """Also for a caller who holds every scope; what is no id is not written into the record."""
    stage = Cite("/sources", scopes)
    found, denied = ask(stage, caller("*"), {"sources": ["doc-2", "doc-9", True, {"name": "Ann"}, None]})
    assert found == {"sources": ["doc-2", *["redacted"] * 4]}
    assert denied == ("doc-9", "(not an id)")


def test_the_record_stays_short(scopes):
    """At most twenty ids, each shortened; all of them are blotted out."""
    found, denied = ask(Cite("/s", scopes), caller("*"), {"s": [f"{number}" + "x" * 500 for number in range(50)]})
    assert set(found["s"]) == {"redacted"}
    assert (len(denied), {len(each) for each in denied}) == (20, {200})


def test_an_answer_that_is_no_json_does_not_leave(scopes):
    """It cannot be checked."""
    for body in (b"", b"data: {}", b"\xff"):
        with pytest.raises(Refused) as caught:
            Cite("/sources", scopes).check(caller("*"), body)
        assert (caught.value.reason, caught.value.status) == (Reason.UPSTREAM_FAILED, 502)


def test_a_change_of_scopes_is_seen(scopes, monkeypatch):
    """And a damaged list gives nobody a scope."""
    times = iter(range(0, 100, 5))
    monkeypatch.setattr(citations, "monotonic_s", lambda: float(next(times)))
    stage = cite_of(Citations(ids_at="/s", scopes=scopes))
    assert ask(stage, caller("public"), {"s": ["doc-2"]})[1] == ("doc-2",)
    scopes.write_text(SCOPES.replace("cardiology", "public"))
    assert ask(stage, caller("public"), {"s": ["doc-2"]})[1] == ()
    scopes.write_text("source_scopes: 1\nsources: [")
    assert ask(stage, caller("public"), {"s": ["doc-2"]})[1] == ("doc-2",)
    assert "not YAML" in stage.fault


def test_scopes_may_be_json(tmp_path):
    """What a program writes."""
    path = tmp_path / "scopes.json"
    path.write_text('{"source_scopes": 1, "sources": {"doc-1": "public"}}')
    stage = Cite("/s", path)
    assert ask(stage, caller("public"), {"s": ["doc-1"]})[1] == ()
    path.write_text('{"source_scopes": 1, "sources": {"doc-1": 5}}')
    broken = Cite("/s", path)
    assert ask(broken, caller("public"), {"s": ["doc-1"]})[1] == ("doc-1",)
    assert "1 problem(s)" in broken.fault


def test_a_pointer_that_is_none_is_refused(scopes):
    """Before any traffic."""
    with pytest.raises(ManifestError):
        Cite("sources", scopes)
