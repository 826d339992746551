"""What the running gateway tells Prometheus, and what of a W3C trace context arrives behind it, over the wire."""

import http.client
import json
import re
import shutil
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

pytest_plugins = ["gateway_world"]
pytestmark = pytest.mark.slow

ASKED = json.dumps({"model": "assistant", "messages": [{"role": "user", "content": "hello"}]}).encode()
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
VALID = f"00-{TRACE}-{SPAN}-01"
OWN = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-0[0-3]")


def scrape(world):
    """The text, and the families by name."""
    status, body, headers = world.gateway.admin("GET", "/metrics")
    assert status == 200
    return body["text"], headers, {family.name: family for family in text_string_to_metric_families(body["text"])}


def count(families, **labels):
    """Exchanges with these labels."""
    samples = families["roadworthy_exchanges"].samples
    return sum(each.value for each in samples if labels.items() <= each.labels.items())


def send(world, *headers, model="assistant"):
    """One question with these headers, each as often as it is given: status."""
    connection = http.client.HTTPConnection("127.0.0.1", world.gateway.port, timeout=15)
    body = ASKED.replace(b"assistant", model.encode())
    try:
        connection.putrequest("POST", "/v1/chat/completions")
        for name, value in (("authorization", f"Bearer {world.key}"), ("content-length", str(len(body))), *headers):
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        answer.read()
        return answer.status, dict(answer.getheaders())
    finally:
        connection.close()


def test_a_scrape_is_what_prometheus_reads(world) -> None:
    """Types, help, and the version of the format."""
    send(world)
    text, headers, families = scrape(world)
    assert headers["content-type"].startswith("text/plain; version=")
    kinds = {name: family.type for name, family in families.items() if name.startswith("roadworthy_")}
    assert kinds["roadworthy_exchanges"] == "counter"
    assert kinds["roadworthy_exchange_seconds"] == "histogram"
    assert kinds["roadworthy_in_flight"] == kinds["roadworthy_ledger_up"] == "gauge"
    assert all(family.documentation for family in families.values())
    assert "roadworthy_certificate_valid_until_seconds" in kinds
    assert world.key not in text


def test_promtool_finds_nothing_to_mend(world) -> None:
    """Prometheus's own judge of names, units and types."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    text = scrape(world)[0]
    found = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_every_end_is_counted_once(world) -> None:
    """Answered, denied, unknown, without a rung: each under its own labels; nothing stays in flight."""
    before = scrape(world)[2]
    for model, times in (("assistant", 3), ("closed", 2), ("none-such", 1), ("lost", 1)):
        for _ in range(times):
            send(world, model=model)

    def counted() -> bool:
        after = scrape(world)[2]
        grown = [
            count(after, **labels) - count(before, **labels)
            for labels in (
                {"use_case": "assistant", "status": "200", "rung": "primary", "reason": ""},
                {"use_case": "closed", "status": "403", "reason": "forbidden"},
                {"status": "404", "reason": "no_route", "route": "chat/completions"},
                {"use_case": "lost", "status": "503", "rung": "refuse", "reason": "fallback_exhausted"},
            )
        ]
        return grown == [3, 2, 1, 1]

    world.gateway.wait_for(counted, 3)
    after = scrape(world)[2]
    assert all(sample.value == 0 for sample in after["roadworthy_in_flight"].samples)


def test_the_histogram_counts_what_the_counter_counts(world) -> None:
    """Buckets grow, the last one is the count, and the sum is a time that can be."""
    for _ in range(5):
        send(world)
    families = scrape(world)[2]
    samples = families["roadworthy_exchange_seconds"].samples
    chosen = [each for each in samples if each.labels.get("use_case") == "assistant"]
    series = {}
    for each in chosen:
        if each.name.endswith("_bucket"):
            key = tuple(sorted((name, value) for name, value in each.labels.items() if name != "le"))
            series.setdefault(key, []).append((float(each.labels["le"]), each.value))
    assert series
    for buckets in series.values():
        values = [value for _, value in sorted(buckets)]
        assert values == sorted(values)
    total = sum(max(value for _, value in buckets) for buckets in series.values())
    assert total == sum(each.value for each in chosen if each.name.endswith("_count"))
    assert 0 < sum(each.value for each in chosen if each.name.endswith("_sum")) < 60 * total


def arrived(world, *headers):
    """What of a trace arrives behind the gateway, and what its leaf says: trace, span, flags, state, trace of the leaf."""
    before = len(world.system.asked)
    status, told = send(world, *headers)
    assert status == 200
    (asked,) = world.system.asked[before:]
    assert OWN.fullmatch(asked.headers["traceparent"])
    _, trace, span, flags = asked.headers["traceparent"].split("-")
    assert set(trace) != {"0"} and set(span) != {"0"}
    leaf = world.outcome(told["x-roadworthy-record"])
    return trace, span, flags, asked.headers.get("tracestate", ""), leaf.facts["trace"]


@pytest.mark.parametrize(
    ("parent", "flags"),
    [
        (VALID, "01"),
        (f"00-{TRACE}-{SPAN}-00", "00"),
        (f"00-{TRACE}-{SPAN}-ff", "03"),
        (f"cc-{TRACE}-{SPAN}-01", "01"),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", "01"),
        (f"  {VALID}\t", "01"),
    ],
    ids=["sampled", "not-sampled", "all-flags", "future-version", "future-with-more", "white-space"],
)
def test_a_trace_goes_on(world, parent, flags) -> None:
    """Its id and its decision stay, the span is a new one, and the version is ours."""
    trace, span, found, _, leaf = arrived(world, ("traceparent", parent))
    assert (trace, found, leaf) == (TRACE, flags, TRACE)
    assert span != SPAN


@pytest.mark.parametrize(
    "parents",
    [
        [],
        [f"ff-{TRACE}-{SPAN}-01"],
        [f"00-{'0' * 32}-{SPAN}-01"],
        [f"00-{TRACE}-{'0' * 16}-01"],
        [f"00-{TRACE[:-1]}-{SPAN}-01"],
        [f"00-{TRACE}0-{SPAN}-01"],
        [f"00-{TRACE}-{SPAN[:-1]}-01"],
        [f"00-{TRACE}-{SPAN}-1"],
        [f"00-{TRACE}-{SPAN}-01-more"],
        [f"cc-{TRACE}-{SPAN}-01.more"],
        [f"00-{TRACE.upper()}-{SPAN}-01"],
        [f"00-{TRACE}-{SPAN}-0x"],
        [f"0-{TRACE}-{SPAN}-01"],
        [VALID, VALID],
        [f"{VALID}, {VALID}"],
        [""],
    ],
    ids=[
        "none", "version-ff", "zero-trace", "zero-span", "short-trace", "long-trace", "short-span", "short-flags",
        "00-with-more", "future-without-hyphen", "upper-case", "not-hex", "short-version", "twice", "twice-in-one",
        "empty",
    ],
)  # fmt: skip
def test_a_new_trace_begins(world, parents) -> None:
    """Nothing of what breaks the grammar is passed on, nor any state that came with it."""
    headers = [("traceparent", parent) for parent in parents]
    trace, span, _, state, leaf = arrived(world, *headers, ("tracestate", "vendor=1"))
    assert trace.lower() != TRACE
    assert (state, leaf) == ("", trace)
    assert span != SPAN


@pytest.mark.parametrize(
    ("states", "found"),
    [
        (["a=1"], "a=1"),
        (["a=1,b=2"], "a=1,b=2"),
        (["a=1", "b=2"], "a=1,b=2"),
        (["a=1 , b=2,,\t"], "a=1,b=2"),
        (["1a@b-c/d=x"], "1a@b-c/d=x"),
        ([f"{'k' * 256}={'v' * 256}"], f"{'k' * 256}={'v' * 256}"),
        ([",".join(f"k{n}=v" for n in range(32))], ",".join(f"k{n}=v" for n in range(32))),
        ([",".join(f"k{n}=v" for n in range(33))], ""),
        ([f"{'k' * 257}=v"], ""),
        ([f"k={'v' * 257}"], ""),
        (["a=1,a=2"], ""),
        (["a=1", "a=2"], ""),
        (["A=1"], ""),
        (["a"], ""),
        (["a=1=2"], ""),
        (["a="], ""),
        ([""], ""),
    ],
    ids=[
        "one", "two", "two-headers", "white-space-and-empty", "multi-tenant", "longest", "most", "too-many",
        "key-too-long", "value-too-long", "key-twice", "key-twice-in-two", "upper-case", "no-value", "equals-twice",
        "empty-value", "empty",
    ],
)  # fmt: skip
def test_the_state_of_a_trace(world, states, found) -> None:
    """Passed on joined, or dropped whole; the trace goes on either way."""
    headers = [("traceparent", VALID), *(("tracestate", state) for state in states)]
    trace, _, _, state, _ = arrived(world, *headers)
    assert (trace, state) == (TRACE, found)
