"""Alerts evaluated over a gateway's own figures, told to whoever is on call, and the wait until somebody takes them.

Owns reading the Prometheus text, the condition over time, and the two requests to the receiver. Leaves alone what brings
an alert about, and what is late.

Rules kept here:
1. As in Prometheus a condition holds when any series meets it; a figure that does not exist meets nothing. A series that
   was not there before began at zero.
2. An alert fires when its condition held at every look for ``for_s`` seconds.
"""

import json
import math
import operator
import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from roadworthy.base.clock import monotonic_s
from roadworthy.kit.declared.alerts import CONDITION, ID, AlertRule, Alerts
from roadworthy.probes.ask_url import ask_url
from roadworthy.probes.http import read_headers

Series = tuple[str, tuple[tuple[str, str], ...]]
_LINE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+-?\d+)?")
_PAIR = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"')
_MATCHER = re.compile(r'([a-zA-Z_]\w*)(=~|!=|=)"([^"]*)"')
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_ASK_S = 10.0
_AGAIN_S = 0.2


def read_figures(text: str) -> dict[Series, float]:
    """Every sample of a Prometheus text (exposition format 0.0.4)."""
    found: dict[Series, float] = {}
    for line in text.splitlines():
        match = None if line.startswith("#") else _LINE.fullmatch(line.strip())
        if match is not None:
            labels = tuple(sorted((name, _plain(value)) for name, value in _PAIR.findall(match[2] or "")))
            found[match[1], labels] = float(match[3])
    return found


class Watch:
    """One rule over time.

    Args:
        rule: as declared.
    """

    def __init__(self, rule: AlertRule) -> None:
        match = CONDITION.fullmatch(rule.when)
        assert match is not None  # the schema saw to it
        self.rule = rule
        series: str = match["counter"] or match["gauge"]
        self._name, _, matchers = series.partition("{")
        self._matchers: list[tuple[str, str, str]] = _MATCHER.findall(matchers)
        self._meets, self._value = _COMPARE[match["comparator"]], float(match["value"])
        self.window_s = float(match["window_s"] or 0)
        self._history: deque[tuple[float, dict[Series, float]]] = deque()
        self._since_s = math.inf

    def look(self, figures: Mapping[Series, float], at_s: float) -> bool:
        """Whether the alert fires.

        Args:
            figures: of now.
            at_s: now, on a clock that does not jump.
        """
        mine = {key: value for key, value in figures.items() if self._is_mine(key)}
        holds = any(self._meets(value, self._value) for value in self._over_time(mine, at_s).values())
        self._since_s = min(self._since_s, at_s) if holds else math.inf
        return at_s - self._since_s >= self.rule.for_s

    def _over_time(self, mine: dict[Series, float], at_s: float) -> dict[Series, float]:
        """The figures themselves, or how much each grew within the window."""
        if not self.window_s:
            return mine
        self._history.append((at_s, mine))
        while len(self._history) > 1 and self._history[1][0] <= at_s - self.window_s:
            self._history.popleft()
        before = self._history[0][1]
        return {key: value - before.get(key, 0.0) for key, value in mine.items()}

    def _is_mine(self, key: Series) -> bool:
        name, labels = key[0], dict(key[1])
        return name == self._name and all(_matches(labels.get(label, ""), how, to) for label, how, to in self._matchers)


class Called(NamedTuple):
    """What became of a call: whether it was delivered, and after how long somebody took it; -1 when nobody did."""

    delivered: bool
    acknowledged_s: float


def call_on(alerts: Alerts, rule: AlertRule, alert_id: str, folder: Path) -> Called:
    """Tell whoever is on call, marked as a drill, and wait until somebody takes it or the time is over.

    Args:
        alerts: the file.
        rule: that fired.
        alert_id: new, and safe in a URL.
        folder: where the file's relative paths start.

    Raises:
        MissingFile: the file of headers does not exist (RW-102).
    """
    headers = {"content-type": "application/json"}
    headers |= {} if alerts.headers_file is None else read_headers(folder / alerts.headers_file)
    body = json.dumps({"id": alert_id, "alert": rule.name, "when": rule.when, "status": "firing", "drill": True})
    began_s = monotonic_s()
    if not ask_url(alerts.notify, "POST", body.encode(), headers, timeout_s=_ASK_S).answered:
        return Called(delivered=False, acknowledged_s=-1.0)
    place = alerts.acknowledged.replace(ID, alert_id)
    while monotonic_s() - began_s < rule.acknowledge_within_s:
        if ask_url(place, "GET", b"", headers, timeout_s=_ASK_S).answered:
            return Called(delivered=True, acknowledged_s=monotonic_s() - began_s)
        time.sleep(_AGAIN_S)
    return Called(delivered=True, acknowledged_s=-1.0)


def _matches(value: str, how: str, wanted: str) -> bool:
    if how == "=~":
        return re.fullmatch(wanted, value) is not None
    return (value == wanted) == (how == "=")


def _plain(value: str) -> str:
    return value.replace(r"\"", '"').replace(r"\n", "\n").replace("\\\\", "\\")
