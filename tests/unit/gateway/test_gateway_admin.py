"""The admin address by direct calls: what it shows, whom it lets write, and what stands in the ledger before."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from roadworthy.base.errors import ParameterError
from roadworthy.domain.exchange import Caller
from roadworthy.gateway import admin as module
from roadworthy.gateway.admin import MOST_ANSWER_BYTES, MOST_BODY_BYTES, MOST_SHOWN_BYTES, Admin
from roadworthy.gateway.exchange import Reason, Refused
from roadworthy.gateway.health import Health
from roadworthy.gateway.human_queue import HumanQueue
from roadworthy.gateway.metrics import Meter, Pages
from roadworthy.gateway.node_log import NodeLog
from roadworthy.gateway.switches import Switches
from roadworthy.ledger.leaf import parse_leaf
from roadworthy.ledger.merkle import leaf_hash
from roadworthy.ledger.tiles import entry_bundles, hash_tiles, parse_entry_bundle

AT = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)


class Ledger:
    """Takes leaves, or refuses them."""

    def __init__(self) -> None:
        self.leaves: list[bytes] = []
        self.asked: list[dict] = []
        self.down = False

    def put(self, leaf, sealed):
        if self.down:
            raise Refused(Reason.LEDGER_UNAVAILABLE, 503, "The ledger is down.", retry_after_s=1)
        future = asyncio.get_running_loop().create_future()
        self.leaves.append(leaf)
        future.set_result(len(self.leaves) - 1)
        return future

    async def ask(self, question):
        self.asked.append(question)
        if question.get("index") == 404:
            raise ParameterError("There is no entry 404.", remedy="Ask for another.")
        return {"index": question["index"], "receipt": "c2sp.org/tlog-proof@v1\n"}


class Keys:
    """One key for each set of roles: its value is their list."""

    async def caller(self, headers):
        roles = dict(headers).get(b"x-api-key", b"").decode()
        if not roles:
            raise Refused(Reason.UNAUTHENTICATED, 401, "No.")
        empty = frozenset()
        return Caller(
            id="ada", credential="k1", roles=frozenset(roles.split(",")), cohort="", scopes=empty, purposes=empty,
            expires_at_s=0.0,
        )  # fmt: skip


class Rig:
    """An admin address with everything behind it."""

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger()
        self.pages = Pages(folder / "metrics", 1)
        self.up = True
        self.health = Health(
            ledger_up=lambda: self.up,
            certificates=lambda: {"heart": {"state": "valid"}},
            upstreams=lambda: {"heart": {"main": "closed"}},
            in_force=lambda: {"config": "sha256:1"},
        )
        self.switches = Switches(folder / "switches.json", frozenset({"heart"}))
        self.queue = HumanQueue("desk", clock=lambda: AT)
        self.received, self.slow_s, self.gone = 0, 0.0, False
        self.log = folder / "log"
        self.log.mkdir()
        self.admin = Admin(
            health=self.health,
            meter=Meter(self.pages, 0),
            switches=self.switches,
            queues={"desk": self.queue},
            node_log=NodeLog(
                node="node-1", epoch=7, ledger=self.ledger, pseudonym=lambda person: f"~{person}", clock=lambda: AT
            ),
            ask=self.ledger.ask,
            folder=self.log,
            identify=Keys(),
        )

    def call(self, method: str, path: str, body: object = None, *, roles: str = "") -> tuple[int, bytes, dict]:
        """Status, body and headers of one request."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        headers = [(b"x-api-key", roles.encode())] if roles else []
        if data:
            headers.append((b"content-length", str(len(data)).encode()))
        path, _, query = path.partition("?")
        scope = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": query.encode()}
        pieces = [data[:3], data[3:]]
        sent = []

        async def receive():
            self.received += 1
            await asyncio.sleep(self.slow_s)
            if self.gone:
                return {"type": "http.disconnect"}
            piece = pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

        async def send(message):
            sent.append(message)

        asyncio.run(self.admin(scope, receive, send))
        return sent[0]["status"], sent[1]["body"], dict(sent[0]["headers"])


@pytest.fixture
def rig(tmp_path: Path):
    """One for each test."""
    found = Rig(tmp_path)
    yield found
    found.pages.close()


def test_health_says_both(rig: Rig) -> None:
    """Alive always, ready only with a ledger and not while draining."""
    assert rig.call("GET", "/health/live")[0] == 200
    status, body, _ = rig.call("GET", "/health/ready")
    assert status == 200
    assert json.loads(body)["certificates"] == {"heart": {"state": "valid"}}
    assert json.loads(body)["upstreams"] == {"heart": {"main": "closed"}}
    assert json.loads(body)["in_force"] == {"config": "sha256:1"}
    rig.up = False
    assert rig.call("GET", "/health/ready")[0] == 503
    rig.up, rig.health.draining = True, True
    assert rig.call("GET", "/health/ready")[0] == 503


def test_metrics_are_prometheus_text(rig: Rig) -> None:
    """With its content type."""
    status, body, headers = rig.call("GET", "/metrics")
    assert status == 200
    assert headers[b"content-type"].startswith(b"text/plain; version=0.0.4")
    assert b"roadworthy_worker_cpu_seconds_total" in body


def test_the_published_log_is_served_as_it_lies(rig: Rig) -> None:
    """Tiles for ever, the checkpoint fresh; a partial tile that was replaced is cut from the full one."""
    leaves = [b"leaf %d" % n for n in range(300)]
    for name, data in {**hash_tiles([leaf_hash(each) for each in leaves]), **entry_bundles(leaves)}.items():
        place = rig.log / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    (rig.log / "checkpoint").write_text("note")
    (rig.log / "log.vkey").write_text("key")
    assert rig.call("GET", "/log/checkpoint")[1] == b"note"
    assert rig.call("GET", "/log/checkpoint")[2][b"cache-control"] == b"no-store"
    assert rig.call("GET", "/log/vkey")[1] == b"key"
    status, body, headers = rig.call("GET", "/log/tile/0/000")
    assert (status, len(body)) == (200, 8_192)
    assert b"immutable" in headers[b"cache-control"]
    assert len(rig.call("GET", "/log/tile/0/000.p/7")[1]) == 7 * 32
    assert parse_entry_bundle(rig.call("GET", "/log/tile/entries/000.p/7")[1]) == tuple(leaves[:7])
    assert len(rig.call("GET", "/log/tile/entries/001.p/44")[1]) > 44


@pytest.mark.parametrize(
    "path",
    ["/log/", "/log/../keys/log.key", "/log/tile/../../x", "/log/segments/0.seg", "/log/tile/0/000", "/log/checkpoint",
     "/log//etc/passwd", "/log/tile/0/000.p/7", "/log/checkpoint.cosigned", "/nowhere", "/proof/x", "/proof/", "/",
     "/proof/" + "9" * 5_000, "/proof/9223372036854775808", f"/proof/{2**70}", "/log/tile/0/x100/" + "x000/" * 1_500 + "000"],
)  # fmt: skip
def test_nothing_else_is_read_from_the_disk(rig: Rig, path: str) -> None:
    """Also what a log could have and this one has not."""
    (rig.log.parent / "x").write_text("secret")
    status, _, headers = rig.call("GET", path)
    assert status == 404
    assert headers[b"content-type"] == b"application/problem+json"


def test_a_receipt_comes_from_the_ledger(rig: Rig) -> None:
    """And its no is passed on."""
    status, body, _ = rig.call("GET", "/proof/3")
    assert (status, json.loads(body)["index"]) == (200, 3)
    assert rig.call("GET", "/proof/404")[0] == 422


def test_a_stop_and_a_start_are_leaves(rig: Rig) -> None:
    """With who and why."""
    stop = {"use_case": "heart", "on": False, "reason": "harm"}
    status, body, _ = rig.call("POST", "/switch", stop, roles="switch")
    assert (status, json.loads(body)["recorded"]) == (200, True)
    assert json.loads(rig.call("GET", "/switch")[1])["off"][0]["reason"] == "harm"
    with pytest.raises(Refused):
        rig.switches.refuse_if_off("heart")
    assert rig.call("POST", "/switch", {**stop, "on": True}, roles="switch")[0] == 200
    rig.switches.refuse_if_off("heart")
    leaves = [parse_leaf(leaf) for leaf in rig.ledger.leaves]
    assert [(leaf.base.kind, leaf.base.actor, leaf.base.subject) for leaf in leaves] == [
        ("gateway.node", "~ada", "switched off"),
        ("gateway.node", "~ada", "switched on"),
    ]
    assert leaves[0].facts["node"] == "node-1"


def test_a_start_without_a_ledger_is_refused_and_a_stop_is_not(rig: Rig) -> None:
    """503, and when to come again."""
    rig.ledger.down = True
    stop = {"use_case": "heart", "on": False, "reason": "harm"}
    assert json.loads(rig.call("POST", "/switch", stop, roles="switch")[1])["recorded"] is False
    status, _, headers = rig.call("POST", "/switch", {**stop, "on": True}, roles="switch")
    assert (status, headers[b"retry-after"]) == (503, b"1")


def test_a_person_answers_after_it_is_on_record(rig: Rig) -> None:
    """Once."""
    item = rig.queue.put("heart", b'{"q": 1}')
    assert item is not None
    listed = json.loads(rig.call("GET", "/reviews", roles="review")[1])["reviews"]
    assert [each["id"] for each in listed] == [item.id]
    decision = {"answer": {"ok": True}, "reason": "checked"}
    rig.ledger.down = True
    assert rig.call("POST", f"/reviews/{item.id}", decision, roles="review")[0] == 503
    assert item.decided_at is None
    rig.ledger.down = False
    assert rig.call("POST", f"/reviews/{item.id}", decision, roles="review")[0] == 200
    assert (item.answer, item.reviewer) == (b'{"ok":true}', "ada")
    assert parse_leaf(rig.ledger.leaves[0]).base.kind == "exchange.review"
    assert rig.call("POST", f"/reviews/{item.id}", decision, roles="review")[0] == 404
    assert len(rig.ledger.leaves) == 1


def test_an_erasure_is_asked_of_the_ledger(rig: Rig) -> None:
    """Which says so in a leaf of its own first."""
    assert rig.call("POST", "/erase", {"index": 5, "reason": "asked by the person"}, roles="erase")[0] == 200
    assert rig.ledger.asked == [{"what": "erase", "index": 5, "reason": "asked by the person", "actor": "~ada"}]


@pytest.mark.parametrize(
    ("path", "method", "role"),
    [("/switch", "POST", "switch"), ("/erase", "POST", "erase"), ("/reviews/x", "POST", "review"),
     ("/reviews", "GET", "review")],
)  # fmt: skip
def test_writing_needs_a_key_with_the_role(rig: Rig, path: str, method: str, role: str) -> None:
    """None: 401. Another role: 403. No file of keys: 403."""
    body = {"use_case": "heart", "on": False, "reason": "x", "index": 1, "answer": {}}
    assert rig.call(method, path, body)[0] == 401
    others = ",".join({"switch", "erase", "review"} - {role})
    assert rig.call(method, path, body, roles=others)[0] == 403
    rig.admin._identify = None
    assert rig.call(method, path, body, roles=role)[0] == 403
    assert rig.ledger.leaves == rig.ledger.asked == []


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/switch", b"{", 422),
        ("/switch", b"[]", 422),
        ("/switch", {"use_case": "heart", "on": 1, "reason": "x"}, 422),
        ("/switch", {"use_case": "heart", "on": False, "reason": " "}, 422),
        ("/switch", {"use_case": "hart", "on": False, "reason": "x"}, 422),
        ("/erase", {"index": True, "reason": "x"}, 422),
        ("/erase", {"index": "1", "reason": "x"}, 422),
        ("/erase", {"index": -1, "reason": "x"}, 422),
        ("/erase", {"index": 2**63, "reason": "x"}, 422),
        ("/reviews/x", b'{"reason": "x", "answer": ' + b"[" * 300 + b"]" * 300 + b"}", 422),
        ("/reviews/x", {"answer": "text", "reason": "x"}, 422),
        ("/reviews/x", {"answer": {}, "reason": "x"}, 404),
        ("/elsewhere", {}, 404),
        ("/switch", b" " * (MOST_BODY_BYTES + 1), 413),
        ("/reviews/x", b" " * (MOST_ANSWER_BYTES + 1), 413),
        ("/reviews/x", b" " * (MOST_BODY_BYTES + 1), 422),
    ],
)
def test_what_is_not_understood_changes_nothing(rig: Rig, path: str, body: object, status: int) -> None:
    """And is answered in the form of RFC 9457."""
    found, _, headers = rig.call("POST", path, body, roles="switch,erase,review")
    assert found == status
    assert headers[b"content-type"] == b"application/problem+json"
    assert rig.ledger.leaves == rig.ledger.asked == []


def test_other_protocols_and_methods_get_nothing(rig: Rig) -> None:
    """A lifespan is none of its business, DELETE is no route."""
    assert rig.call("DELETE", "/switch")[0] == 404
    asyncio.run(rig.admin({"type": "lifespan"}, None, None))


@pytest.mark.parametrize("path", ["/switch", "/erase", "/reviews/x", "/elsewhere"])
def test_nobody_unknown_makes_it_wait_for_a_body(rig: Rig, path: str) -> None:
    """Not a byte is read; what was sent ends the connection."""
    status, _, headers = rig.call("POST", path, {"reason": "x"})
    assert status == (404 if path == "/elsewhere" else 401)
    assert headers[b"connection"] == b"close"
    assert (b"www-authenticate" in headers) == (status == 401)
    assert rig.received == 0
    assert rig.call("POST", path, {"reason": "x"}, roles="other")[0] == (404 if path == "/elsewhere" else 403)
    assert rig.received == 0


def test_a_body_that_was_read_keeps_the_connection(rig: Rig) -> None:
    """Also when it says nonsense."""
    status, _, headers = rig.call("POST", "/switch", b"{", roles="switch")
    assert status == 422
    assert b"connection" not in headers


def test_a_body_has_a_deadline(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the whole of it, however steadily it drips."""
    monkeypatch.setattr(module, "BODY_S", 0.05)
    rig.slow_s = 0.04
    stop = {"use_case": "heart", "on": False, "reason": "harm"}
    status, _, headers = rig.call("POST", "/switch", stop, roles="switch")
    assert (status, headers[b"connection"]) == (408, b"close")
    assert rig.switches.stops == ()


def test_who_stopped_something_is_told_to_administrators_only(rig: Rig) -> None:
    """Any admin key will do; the leaf has a pseudonym."""
    rig.call("POST", "/switch", {"use_case": "heart", "on": False, "reason": "harm"}, roles="switch")
    assert json.loads(rig.call("GET", "/switch", roles="review")[1])["off"][0]["by"] == "ada"
    shown = json.loads(rig.call("GET", "/switch")[1])["off"][0]
    assert "by" not in shown
    assert (shown["use_case"], shown["reason"]) == ("heart", "harm")
    assert b'"ada"' not in rig.ledger.leaves[0]


def test_questions_come_in_pages(rig: Rig) -> None:
    """A page goes on after the last question of the one before, also when that is decided meanwhile."""
    ids = sorted(rig.queue.put("heart", b"%d" % n).id for n in range(5))
    pages, after = [], ""
    for _ in range(3):
        page = json.loads(rig.call("GET", f"/reviews?limit=2{after}", roles="review")[1])
        pages.append([each["id"] for each in page["reviews"]])
        after = f"&after={page['next']}"
        if page["next"]:
            rig.queue.decide(page["next"], "ada", b"{}")
    assert pages == [ids[:2], ids[2:4], ids[4:]]
    assert page["next"] is None


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "limit=" + "9" * 5_000, "after=nobody"])
def test_a_page_that_cannot_be_is_refused(rig: Rig, query: str) -> None:
    """With what could be."""
    assert rig.call("GET", f"/reviews?{query}", roles="review")[0] == 422


def test_a_long_question_is_shown_whole_by_itself(rig: Rig) -> None:
    """A page has only the beginning of each."""
    body = b"a" * (MOST_SHOWN_BYTES + 5)
    item = rig.queue.put("heart", body)
    shown = json.loads(rig.call("GET", "/reviews", roles="review")[1])["reviews"][0]
    assert (len(shown["body"]), shown["body_bytes"]) == (MOST_SHOWN_BYTES, len(body))
    whole = json.loads(rig.call("GET", f"/reviews/{item.id}", roles="review")[1])
    assert whole["body"] == body.decode()
    assert rig.call("GET", f"/reviews/{item.id}")[0] == 401
    rig.queue.decide(item.id, "ada", b"{}")
    assert rig.call("GET", f"/reviews/{item.id}", roles="review")[0] == 404


def test_a_caller_who_goes_changes_nothing(rig: Rig) -> None:
    """Half a body is none."""
    rig.gone = True
    stop = {"use_case": "heart", "on": False, "reason": "harm"}
    assert rig.call("POST", "/switch", stop, roles="switch")[0] == 400
    assert rig.switches.stops == ()
