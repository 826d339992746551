"""The page: self-contained, safe, and readable by everybody."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from jinja2 import UndefinedError
from reports_fixture import bare_world, closed_world, open_world
from reports_world import GOVERNANCE

from roadworthy.domain.decision import State
from roadworthy.domain.evidence import Claim
from roadworthy.domain.people import Role
from roadworthy.reports.html import _environment, content_policy, joined_gaps, render_report

VOID = {"meta", "br", "img", "link", "path", "rect", "line", "circle", "polygon", "hr", "input"}


class Page(HTMLParser):
    """Collects what the tests ask about, and complains about tags that do not match."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.texts, self.ids, self.hrefs = [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.tags.append((tag, values))
        self.ids += [values["id"]] if "id" in values else []
        self.hrefs += [values["href"]] if "href" in values else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.texts.append(data)

    def all(self, tag):
        return [values for name, values in self.tags if name == tag]

    @property
    def words(self):
        return " ".join(" ".join(self.texts).split())


def pages():
    """Name and scorecard of every kind of page."""
    conditional = bare_world(GOVERNANCE[1], GOVERNANCE[3])
    conditional.waive("G5", conditional.attest("G2", "ada", Role.BUSINESS_OWNER, Claim.MET, "Mine."))
    return {
        "closed": closed_world(),
        "open": open_world(),
        "bare": bare_world(*GOVERNANCE),
        "empty": bare_world(),
        "waiting": conditional,
    }


@pytest.fixture(scope="module", params=["closed", "open", "bare", "empty", "waiting"])
def text(request):
    """Every kind of page in turn."""
    return render_report(pages()[request.param].scorecard())


@pytest.fixture(scope="module")
def closed():
    """The fullest page."""
    return render_report(closed_world().scorecard())


def test_it_needs_nothing_else(text):
    """No script, no handler, no style attribute, no address outside the page."""
    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object", "form", "base"} & {tag for tag, _ in page.tags}
    assert not [name for _, values in page.tags for name in values if name.startswith("on") or name in {"style", "src"}]
    assert all(href.startswith("#") for href in page.hrefs)
    assert not re.search(r"url\(|@import|https?://", re.search(r"<style>(.*)</style>", text, re.DOTALL)[1])


def test_the_policy_admits_exactly_this_style(text):
    """The hash is that of the bytes between the tags."""
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = next(v["content"] for v in Page(text).all("meta") if v.get("http-equiv") == "Content-Security-Policy")
    assert policy == content_policy(style)
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert text.count("<style>") == 1


def test_every_link_has_its_target_and_every_name_is_unique(text):
    """No dead link, no ambiguous one."""
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    assert {href[1:] for href in page.hrefs} <= set(page.ids)


def test_one_question_and_headings_in_order(text):
    """One h1, and no level is skipped on the way down."""
    levels = [int(tag[1]) for tag, _ in Page(text).tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_landmarks_and_skip_link(text):
    """The way around the page without a mouse."""
    page = Page(text)
    assert [len(page.all(tag)) for tag in ("main", "header", "footer", "nav", "aside")] == [1, 1, 1, 1, 1]
    assert page.all("html")[0]["lang"] == "en"
    assert page.all("a")[0] == {"class": "skip", "href": "#verdict"}
    assert all("aria-label" in values for values in page.all("nav") + page.all("aside"))
    labelled = [values["aria-labelledby"] for values in page.all("section") if "aria-labelledby" in values]
    assert set(labelled) <= set(page.ids)
    assert len(labelled) == 7


def test_tables_have_captions_and_scopes(text):
    """A cell can be told where it stands."""
    page = Page(text)
    assert all("scope" in values for values in page.all("th"))
    body = re.sub(r"(?s)<style>.*?</style>", "", text)
    for table in re.findall(r"(?s)<table.*?</table>", body):
        assert "<caption" in table or 'class="plain two"' in table


def test_pictures_speak(text):
    """Every drawing is named or hidden."""
    page = Page(text)
    for values in page.all("svg"):
        assert values.get("aria-hidden") == "true" or values.get("role") == "img"
    assert text.count('role="img"') == len(re.findall(r'role="img"><title>[^<]+</title>', text))


def test_states_are_never_colour_alone(closed):
    """Every state comes with its sign and its word."""
    signs = re.findall(r'<span class="state \w+"><svg[^>]*><path[^>]*/></svg>(?:<span><b>\d+</b>)?([^<]+)', closed)
    assert len(signs) == closed.count('<span class="state ')
    assert {sign.strip().lower() for sign in signs} == {word.value.replace("_", " ") for word in State} - {
        "indeterminate"
    } | {"cannot tell"}


def test_numbers_link_to_their_evidence(closed):
    """One click from the row to the envelope, which opens because the target lies inside it."""
    row = re.search(r'(?s)<tr id="criterion-D1">.*?</tr>', closed)[0]
    anchor = re.search(r'href="#(evidence-[0-9a-f]{16})"', row)[1]
    envelope = next(part for part in closed.split('<details class="envelope">') if f'id="{anchor}"' in part)
    assert envelope.index("</summary>") < envelope.index(f'id="{anchor}"')
    assert "performance.production, version 1" in envelope


def test_hostile_texts_stay_texts():
    """Titles, names and findings are whatever people type."""
    world = closed_world()
    card = world.scorecard()
    evil = "<script>alert(1)</script>\"'&"
    rows = tuple(replace(row, title=evil, detail=evil, said=evil) for row in card.domains[0].rows)
    gaps = tuple(replace(gap, title=evil, owner=evil, remedy=evil) for gap in card.gaps)
    card = replace(
        card, title=evil, question=evil, headline=evil, gaps=gaps, domains=(replace(card.domains[0], rows=rows),)
    )
    text = render_report(card)
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert evil in Page(text).words


def test_an_unknown_name_in_a_template_is_an_error():
    """Never an empty string where a number should stand."""
    with pytest.raises(UndefinedError):
        _environment().from_string("{{ nothing }}").render()


def test_the_manifestation_of_a_signature_is_whole():
    """Printed name, role, meaning, reason, time, what proved the identity."""
    words = Page(render_report(open_world().scorecard())).words
    for expected in (
        "Valentina Ruiz-Keller",
        "validator",
        "approved",
        "I looked at every number that decides.",
        "21 Nov 2026, 10:42 UTC",
        "key file and passphrase",
    ):
        assert expected in words


def test_the_fullest_page_says_it_all(closed):
    """Verdict, dates, refusals, waivers, checkpoint and commands."""
    card = closed_world().scorecard()
    words = Page(closed).words
    for expected in (
        "Can breast-mass triage go live?",
        card.headline,
        card.sub,
        "Convert site C's lengths",
        "but dan signed it",
        "Weekly report to legal",
        "late due 22 Nov",
        "roadworthy verify bundle.zip",
        "Also on record",
        "site C <north>",
        card.proof.decision_digest,
    ):
        assert expected in words
    assert card.proof.note.splitlines()[0] in words
    assert card.proof.note.splitlines()[-1] in words


def test_empty_states_say_what_to_run():
    """Nothing on a page ends in a blank."""
    words = Page(render_report(bare_world().scorecard())).words
    assert "The profile requires no criterion at tier R3" in words
    assert "Nothing has been observed yet that counts. Run roadworthy inspect" in words
    assert "Nobody has signed this decision yet." in words
    assert "Nothing is waived." in words
    assert "Nothing was refused" in words
    assert "No gap is open" in words


def test_no_quorum_is_said():
    """A gate without signers cannot open."""
    card = replace(open_world().scorecard(), seats=(), waiting_for=())
    words = Page(render_report(card)).words
    assert "The gate asks nobody to sign, so it cannot open." in words


def test_a_crashed_run_and_a_blind_control_are_said():
    """In the entry itself."""
    card = closed_world().scorecard()
    entry = next(each for each in card.evidence if each.evidence.check == "load.peak")
    lame = replace(entry.evidence, problem="Over its budget of 60 s.", control=None)
    blind = replace(entry.evidence, control=replace(entry.evidence.control, failed=False))
    entries = tuple(replace(entry, anchor=f"x{i}", evidence=each) for i, each in enumerate((lame, blind)))
    words = Page(render_report(replace(card, evidence=entries, domains=()))).words
    assert "Over its budget of 60 s." in words
    assert "None was run, so this evidence proves nothing." in words
    assert "did not find what was wrong on purpose, so the run proves nothing" in words


def test_equal_scorecards_give_equal_bytes(closed):
    """Nothing of the machine, nothing of the day."""
    assert render_report(closed_world().scorecard()) == closed


def test_gaps_that_nothing_joins_are_named_not_drawn(closed):
    """The picture shows dependencies; the rest stands in a sentence."""
    card = closed_world().scorecard()
    drawn = {row.criterion_id for row in joined_gaps(card.gaps)}
    assert {"G1", "G5", "D14"} == {row.criterion_id for row in card.gaps} - drawn
    assert re.search(r"joins them to others: (?:G1|G5|D14), (?:G1|G5|D14) and (?:G1|G5|D14)\.", Page(closed).words)


def test_without_dependencies_there_is_no_picture():
    """A drawing of nothing says nothing."""
    assert '<figure class="picture">' not in render_report(bare_world(GOVERNANCE[0]).scorecard())


def test_a_queue_of_one_owner_on_the_critical_path_is_drawn():
    """Dashed, because it is nobody's dependency."""
    first, second = GOVERNANCE[0], replace(GOVERNANCE[0], id="G9")
    text = render_report(bare_world(first, second).scorecard())
    assert 'class="edge critical same-owner"' in text


def test_only_the_path_itself_is_heavy(closed):
    """A dependency between two of its gaps that is not a step of it stays thin."""
    steps = len(closed_world().scorecard().plan.critical_path) - 1
    assert len(re.findall(r'class="edge critical', closed)) == steps
