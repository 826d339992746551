"""Conditions over figures, and the call to whoever is on call."""

import json
from pathlib import Path

import pytest

from roadworthy.base.errors import ManifestError
from roadworthy.kit.declared.alerts import AlertRule, Alerts, read_alerts
from roadworthy.probes.alerts import Watch, call_on, read_figures
from roadworthy.probes.answering import answering

TEXT = """\
# HELP up Whether.
# TYPE up gauge
up{worker="0"} 1.0
up{worker="1"} 0.0
asked_total{route="/a b",status="200"} 5 1700000000
asked_total{route="say \\"hi\\"",status="503"} 2e0
plain 7
odd{ } 3
not a line
"""


def rule(when: str, for_s: float = 0.0, within_s: float = 1.0) -> AlertRule:
    """One with this condition."""
    return AlertRule(name="a", when=when, for_s=for_s, cause="ledger", acknowledge_within_s=within_s)


def test_the_text_is_read() -> None:
    """Labels with blanks and quotes, exponents, stamps; comments are not figures."""
    assert read_figures(TEXT) == {
        ("up", (("worker", "0"),)): 1.0,
        ("up", (("worker", "1"),)): 0.0,
        ("asked_total", (("route", "/a b"), ("status", "200"))): 5.0,
        ("asked_total", (("route", 'say "hi"'), ("status", "503"))): 2.0,
        ("plain", ()): 7.0,
        ("odd", ()): 3.0,
    }


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ("up < 1", True),
        ('up{worker="0"} < 1', False),
        ('up{worker!="0"} < 1', True),
        ('up{worker=~"[12]"} < 1', True),
        ('up{worker=~"1", worker="0"} < 1', False),
        ("plain >= 7", True),
        ("plain > 7", False),
        ("plain == 7", True),
        ("plain != 7", False),
        ("plain <= 6.9", False),
        ("nobody > -1", False),
        ('asked_total{other=""} > 4', True),
    ],
)
def test_a_condition_holds_when_any_series_meets_it(when: str, holds: bool) -> None:
    """And a figure that does not exist meets nothing."""
    assert Watch(rule(when)).look(read_figures(TEXT), 0.0) is holds


def test_it_must_hold_for_its_time() -> None:
    """One look at which it does not begins anew."""
    watch, bad, good = Watch(rule("up < 1", for_s=2)), {("up", ()): 0.0}, {("up", ()): 1.0}
    assert [watch.look(bad, at_s) for at_s in (0, 1, 2, 3)] == [False, False, True, True]
    assert not watch.look(good, 4)
    assert [watch.look(bad, at_s) for at_s in (5, 6, 7)] == [False, False, True]


def test_an_increase_is_over_its_window() -> None:
    """A series that is new began at zero; what is older than the window counts no more."""
    watch, series = Watch(rule("increase(total[10s]) > 2")), ("total", (("route", "/a"),))
    other = ("total", (("route", "/b"),))
    assert not watch.look({series: 100.0}, 0)
    assert not watch.look({series: 102.0}, 5)
    assert watch.look({series: 103.0}, 6)
    assert watch.look({series: 103.0}, 9)
    assert not watch.look({series: 103.0}, 17)
    assert watch.look({series: 103.0, other: 3.0}, 18)


@pytest.mark.parametrize(
    "when", ["up", "up < one", "rate(up[5s]) > 1", "increase(up) > 1", "up{a} < 1", "up < 1 or x > 2", "up[5s] < 1"]
)
def test_what_is_not_one_comparison_is_refused(tmp_path: Path, when: str) -> None:
    """With its line."""
    path = tmp_path / "alerts.yaml"
    rules = [{"name": "a", "when": when, "cause": "ledger"}]
    file = {"alerts": 1, "notify": "http://a/", "acknowledged": "http://a/{{id}}", "rules": rules}
    path.write_text(json.dumps(file))
    with pytest.raises(ManifestError, match="not one comparison"):
        read_alerts(path)
    path.write_text(json.dumps({**file, "rules": [{**rules[0], "when": "up < 1"}]}))
    assert read_alerts(path).rules[0].acknowledge_within_s == 300.0


@pytest.mark.parametrize(("taken_at", "delivered"), [(2, True), (1_000, True), (1, False)])
def test_whoever_is_on_call_is_told_and_waited_for(tmp_path: Path, taken_at: int, delivered: bool) -> None:
    """Marked as a drill, with the headers of the file; a call that is refused is not waited for."""
    (tmp_path / "h.json").write_text('{"authorization": "Bearer x"}')
    told, asked_of = [], []

    def respond(asked):
        assert asked.headers["authorization"] == "Bearer x"
        if asked.method == "POST":
            told.append(json.loads(asked.body))
            return (202 if delivered else 500), b"{}"
        asked_of.append(asked.target)
        return (200 if len(asked_of) >= taken_at else 404), b"{}"

    with answering(respond) as url:
        members = {"alerts": 1, "notify": f"{url}/call", "acknowledged": url + "/call?id={{id}}"}
        alerts = Alerts(**members, headers_file="h.json", rules=[rule("up < 1", within_s=0.5)])
        called = call_on(alerts, alerts.rules[0], "drill-7", tmp_path)
    assert told == [{"id": "drill-7", "alert": "a", "when": "up < 1", "status": "firing", "drill": True}]
    assert called.delivered is delivered
    assert (called.acknowledged_s >= 0) is (delivered and taken_at == 2)
    assert set(asked_of) == ({"/call?id=drill-7"} if delivered else set())
