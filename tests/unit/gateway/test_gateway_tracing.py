"""W3C Trace Context: the grammar, what goes on, and what begins anew."""

import importlib
import importlib.util

import pytest

from roadworthy.gateway.tracing import RANDOM, SAMPLED, SpanRecord, Tracer, parse_parent

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01"


def headers(*values: str, state: tuple[str, ...] = ()) -> list[tuple[bytes, bytes]]:
    """As the front door gives them."""
    found = [(b"host", b"a"), *((b"traceparent", value.encode()) for value in values)]
    return found + [(b"tracestate", value.encode()) for value in state]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01x",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f"00_{TRACE}_{SPAN}_01",
        f"00-{TRACE}-{SPAN}-0x",
        f"cc-{TRACE}-{SPAN}-01x",
    ],
)
def test_a_broken_parent_begins_a_new_trace(value: str) -> None:
    """Nothing of it is passed on."""
    assert parse_parent(headers(value)) is None
    span = Tracer().begin(headers(value, state=("a=1",)))
    assert span.trace_id != TRACE
    assert span.state == b""


@pytest.mark.parametrize("value", [GOOD, f" {GOOD}\t", f"cc-{TRACE}-{SPAN}-01", f"cc-{TRACE}-{SPAN}-01-what.comes"])
def test_a_good_parent_goes_on(value: str) -> None:
    """Also one of a version to come, read as far as this one goes."""
    span = Tracer().begin(headers(value))
    version, trace, own, flags = span.header.decode().split("-")
    assert (version, trace, flags) == ("00", TRACE, "01")
    assert own != SPAN
    assert len(own) == 16


def test_two_parents_are_none() -> None:
    """Which one would be meant?"""
    assert parse_parent(headers(GOOD, GOOD)) is None


def test_unknown_flags_are_not_passed_on() -> None:
    """Only sampled and random are known."""
    assert Tracer().begin(headers(f"00-{TRACE}-{SPAN}-ff")).header.endswith(b"-03")


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        (("a=1,b=2",), b"a=1,b=2"),
        (("a=1", " b=2 ,, c=3"), b"a=1,b=2,c=3"),
        (("1t@sys=x y",), b"1t@sys=x y"),
        ((",".join(f"k{n}=v" for n in range(32)),), b",".join(b"k%d=v" % n for n in range(32))),
        ((",".join(f"k{n}=v" for n in range(33)),), b""),
        (("a=1,a=2",), b""),
        (("A=1",), b""),
        (("a=1=2",), b""),
        (("a",), b""),
        (("a=" + "x" * 257,), b""),
        (("0a=1",), b""),
        (("a@b@c=1",), b""),
    ],
)
def test_the_state_is_kept_only_when_its_grammar_holds(state: tuple[str, ...], kept: bytes) -> None:
    """A broken one is dropped, and the trace goes on."""
    span = Tracer().begin(headers(GOOD, state=state))
    assert (span.trace_id, span.state) == (TRACE, kept)


def test_a_new_trace_is_sampled_by_its_share() -> None:
    """By its own random bits, and it says that they are random."""
    none, whole = Tracer(share=0.0), Tracer(share=1.0)
    assert {int(none.begin([]).header[-2:], 16) for _ in range(50)} == {RANDOM}
    assert {int(whole.begin([]).header[-2:], 16) for _ in range(50)} == {RANDOM | SAMPLED}
    half = Tracer(share=0.5)
    count = sum(half.begin([]).header.endswith(b"3") for _ in range(2_000))
    assert 850 < count < 1_150


def test_a_span_is_exported_once_when_it_is_sampled() -> None:
    """With the ids that went upstream."""
    taken: list[SpanRecord] = []
    tracer = Tracer(export=taken.append)
    span = tracer.begin(headers(GOOD, state=("a=1",)))
    span.end(200, {"operation": "chat", "model": "small", "usage_in": 3})
    span.end(500, {})
    tracer.begin(headers(f"00-{TRACE}-{SPAN}-00")).end(200, {})
    (record,) = taken
    assert (record.name, record.status, record.trace_id.hex(), record.parent_id.hex()) == (
        "chat small",
        200,
        TRACE,
        SPAN,
    )
    assert record.span_id.hex() in span.header.decode()
    assert record.begun_at <= record.ended_at
    assert record.state == b"a=1"


@pytest.mark.extra
def test_a_span_reaches_a_collector_in_the_words_of_the_conventions() -> None:
    """Needs the extra otel."""
    if importlib.util.find_spec("opentelemetry") is None:
        pytest.skip("opentelemetry is not installed")
    otel = importlib.import_module("roadworthy.gateway.tracing_otel")
    taken: list[SpanRecord] = []
    Tracer(export=taken.append).begin(headers(GOOD, state=("a=1",))).end(503, {"model": "small", "rung": "refuse"})
    export = otel.OtelExport("http://127.0.0.1:9/v1/traces", "node-1")
    try:
        span = export.readable(taken[0])
    finally:
        export.close()
    assert format(span.context.trace_id, "032x") == TRACE
    assert format(span.parent.span_id, "016x") == SPAN
    assert span.attributes["gen_ai.request.model"] == "small"
    assert span.attributes["roadworthy.rung"] == "refuse"
    assert not span.status.is_ok
