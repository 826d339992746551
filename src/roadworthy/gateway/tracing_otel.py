"""Spans to an OpenTelemetry collector. Owns the names of the GenAI semantic conventions; needs the extra ``otel``.

Imported by the composition only when ``telemetry.otlp_url`` is set. Spans leave in batches from a thread of the SDK;
what a collector does not take is lost, and no exchange waits for it: the ledger is the record, a trace is a convenience.
"""

from datetime import datetime

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from roadworthy.gateway.tracing import SAMPLED, SpanRecord

_NAMES = {
    "operation": "gen_ai.operation.name",
    "model": "gen_ai.request.model",
    "usage_in": "gen_ai.usage.input_tokens",
    "usage_out": "gen_ai.usage.output_tokens",
    "id": "gen_ai.response.id",
    "reason": "error.type",
}
"""From this package's names to those of the conventions; others get the prefix ``roadworthy.``."""
_SERVER_ERROR = 500


class OtelExport:
    """Takes spans that ended.

    Args:
        url: of the collector, with its path, for example ``http://127.0.0.1:4318/v1/traces``.
        node: name of this node.
    """

    def __init__(self, url: str, node: str) -> None:
        self._processor = BatchSpanProcessor(OTLPSpanExporter(endpoint=url))
        self._resource = Resource.create({"service.name": "roadworthy-gateway", "service.instance.id": node})
        self._scope = InstrumentationScope("roadworthy.gateway")

    def __call__(self, record: SpanRecord) -> None:
        """Queue one span."""
        self._processor.on_end(self.readable(record))

    def readable(self, record: SpanRecord) -> ReadableSpan:
        """The span in the SDK's form, with the ids under which the caller and the upstream know it."""
        attributes = {_NAMES.get(name, f"roadworthy.{name}"): value for name, value in record.attributes.items()}
        failed = record.status >= _SERVER_ERROR
        return ReadableSpan(
            name=record.name,
            context=_context(record.trace_id, record.span_id, remote=False, state=record.state),
            parent=_context(record.trace_id, record.parent_id, remote=True) if record.parent_id else None,
            resource=self._resource,
            attributes={**attributes, "http.response.status_code": record.status},
            kind=SpanKind.SERVER,
            status=Status(StatusCode.ERROR if failed else StatusCode.UNSET),
            start_time=_nanoseconds(record.begun_at),
            end_time=_nanoseconds(record.ended_at),
            instrumentation_scope=self._scope,
        )

    def close(self) -> None:
        """Send what is queued, and stop the thread."""
        self._processor.shutdown()


def _context(trace_id: bytes, span_id: bytes, *, remote: bool, state: bytes = b"") -> SpanContext:
    return SpanContext(
        int.from_bytes(trace_id, "big"),
        int.from_bytes(span_id, "big"),
        is_remote=remote,
        trace_flags=TraceFlags(SAMPLED),
        trace_state=TraceState.from_header([state.decode("ascii")]) if state else None,
    )


def _nanoseconds(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000) * 1_000
