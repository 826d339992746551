"""A tagged transaction is followed into every place."""

import json
import threading
from pathlib import Path

import pytest

from roadworthy.base.errors import MissingFile
from roadworthy.kit.declared.transactions import Transaction
from roadworthy.probes.answering import answering, table
from roadworthy.probes.transaction import carry


def transaction(*arrives: dict[str, object], **more: object) -> Transaction:
    """One with these places."""
    members = {"name": "t", "path": "/score", "body": {"id": "{{tag}}"}, "arrives": list(arrives), **more}
    return Transaction.model_validate(members)


def go(asked: Transaction, url: str, folder: Path, settle_s: float = 0.0):
    """Carry it through with the tag ``rw1``."""
    return carry(asked, url=url, tag="rw1", folder=folder, settle_s=settle_s)


def test_the_tag_is_sent_and_found_in_the_answer(tmp_path: Path) -> None:
    """At its pointer, and nowhere else."""
    (tmp_path / "headers.json").write_text('{"x-api-key": "secret"}')
    seen = []

    def respond(asked):
        seen.append((asked.method, asked.path, asked.headers["x-api-key"], json.loads(asked.body)))
        return 200, json.dumps({"list": [{"a/b": "rw1"}], "other": "x"}).encode()

    places = [{"answer": pointer} for pointer in ("/list/0/a~1b", "/other", "/none", "/list/7", "")]
    with answering(respond, headers=b"x-roadworthy-record: r1\r\n") as url:
        done = go(transaction(*places, headers_file="headers.json"), url, tmp_path)
    assert seen == [("POST", "/score", "secret", {"id": "rw1"})]
    assert (done.status, done.record_id, done.fault) == (200, "r1", "")
    assert [each.found for each in done.arrivals] == [1, 0, 0, 0, 1]
    assert done.arrivals[1].after_s == -1
    assert done.arrivals[0].after_s >= 0


def test_a_place_that_is_late_but_in_time_counts(tmp_path: Path) -> None:
    """A file that appears a little later is found; one after its time is not waited for."""
    late = threading.Timer(0.25, lambda: (tmp_path / "out-rw1.txt").write_text("rw1"))
    with answering(table({"POST /score": b"{}"})) as url:
        late.start()
        done = go(
            transaction({"file": "out-{{tag}}*.txt", "within_s": 5}, {"file": "never", "within_s": 0.1}), url, tmp_path
        )
    late.join()
    assert [each.found for each in done.arrivals] == [1, 0]
    assert 0.1 < done.arrivals[0].after_s < 5


def test_what_arrives_twice_is_counted_after_a_while(tmp_path: Path) -> None:
    """The second copy comes when the first was found already."""
    out = tmp_path / "out.txt"
    out.write_text("rw1 ")
    again = threading.Timer(0.2, lambda: out.write_text("rw1 rw1 "))
    with answering(table({"POST /score": b"{}"})) as url:
        again.start()
        done = go(transaction({"file": str(out)}), url, tmp_path, settle_s=0.5)
    again.join()
    assert [(each.found, each.expected) for each in done.arrivals] == [(2, 1)]


def test_other_systems_are_asked_with_the_tag(tmp_path: Path) -> None:
    """A query keeps its form, and an error page that repeats the tag is no arrival."""

    def respond(asked):
        if asked.path == "/archive":
            return 200, asked.target.encode()
        return (404, asked.target.encode()) if asked.method == "GET" else (200, b"{}")

    with answering(respond) as url:
        places = [{"get": url + "/archive?q={{tag}}", "within_s": 0.1}, {"get": url + "/no?q={{tag}}", "within_s": 0.1}]
        done = go(transaction(*places), url, tmp_path)
    assert [each.found for each in done.arrivals] == [1, 0]


def test_without_an_answer_nothing_arrived(tmp_path: Path, closed_port: int) -> None:
    """It says why."""
    done = go(transaction({"answer": "/id"}), f"http://127.0.0.1:{closed_port}", tmp_path)
    assert (done.status, done.record_id) == (0, "")
    assert done.fault
    assert done.arrivals[0].found == 0


def test_a_missing_file_of_headers_is_named(tmp_path: Path) -> None:
    """Before anything is sent."""
    with pytest.raises(MissingFile, match=r"none\.json"):
        go(transaction({"answer": "/id"}, headers_file="none.json"), "http://127.0.0.1:9", tmp_path)
