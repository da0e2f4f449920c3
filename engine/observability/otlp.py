"""Traces sent to an OpenTelemetry collector, by OTLP over HTTP, from a thread of its own.

A collector that is slow or gone costs nothing but the traces: the queue is bounded and drops.
Texts are never sent: a span tells of lengths, counts and names.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from engine.observability.trace import Span, Trace

log = logging.getLogger(__name__)

SEND_SECONDS = 3.0  # longest that sending one batch takes, repeats included
EVERY_SECONDS = 2.0
QUEUE_SPANS = 8192
BATCH_SPANS = 512

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_KINDS = {"database": SpanKind.CLIENT, "language model": SpanKind.CLIENT}


class OtlpTraces:
    """A Listener that exports. endpoint: of the collector; without a path, ``/v1/traces`` is meant."""

    def __init__(self, endpoint: str, headers: Mapping[str, str]) -> None:
        # It would log each batch, and each span that the queue drops.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        address = endpoint if urlsplit(endpoint).path.strip("/") else endpoint.rstrip("/") + "/v1/traces"
        self._exporter = OTLPSpanExporter(address, headers=dict(headers), timeout=SEND_SECONDS)
        self._processor = BatchSpanProcessor(
            _Noticing(self._exporter),
            max_queue_size=QUEUE_SPANS,
            schedule_delay_millis=EVERY_SECONDS * 1000,
            max_export_batch_size=BATCH_SPANS,
        )
        self._resource = Resource(
            {
                "service.name": "dossier",
                "service.instance.id": str(os.getpid()),
            }
        )
        self._scope = InstrumentationScope("dossier")

    def begun(self) -> None:
        """Nothing is sent before a trace has ended."""

    def ended(self, trace: Trace) -> None:
        """Queue its spans."""
        contexts = {span: _context(trace.id, random.getrandbits(64) or 1) for span in trace.spans}
        caller = _context(trace.id, trace.parent_id, remote=True) if trace.parent_id else None
        for span, context in contexts.items():
            above = span.parent
            while above is not None and above not in contexts:  # there was no room for it
                above = above.parent
            parent = contexts[above] if above is not None else caller
            self._processor.on_end(self._readable(trace, span, context, parent))

    async def aclose(self) -> None:
        """Send what is queued, as far as that goes within SEND_SECONDS."""
        sending = asyncio.ensure_future(asyncio.to_thread(self._processor.shutdown))
        if not (await asyncio.wait([sending], timeout=SEND_SECONDS))[0]:
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # what is left fails at once
        await sending

    def _readable(
        self, trace: Trace, span: Span, context: SpanContext, parent: SpanContext | None
    ) -> ReadableSpan:
        ended = span.ended or trace.ended or span.started
        outermost = span.parent is None
        failed = span.attributes.get("error") or (trace.error if outermost else "")
        kind = _KINDS.get(span.name.split(":", 1)[0], SpanKind.INTERNAL)
        return ReadableSpan(
            span.name,
            context=context,
            parent=parent,
            resource=self._resource,
            attributes={
                f"dossier.{name.replace(' ', '_')}": value for name, value in span.attributes.items()
            },
            kind=SpanKind.SERVER if outermost else kind,
            status=Status(StatusCode.ERROR, str(failed)) if failed else Status(),
            start_time=_nanoseconds(trace, span.started),
            end_time=_nanoseconds(trace, ended),
            instrumentation_scope=self._scope,
        )


class _Noticing(SpanExporter):
    """Says once that the collector is gone, and once that it is back."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner
        self._well = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export(spans)
        well = result is SpanExportResult.SUCCESS
        if well != self._well:
            log.warning(
                "Traces are %s.", "exported again" if well else "lost: OTLP_ENDPOINT does not take them"
            )
        self._well = well
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()


def _context(trace_id: int, span_id: int, *, remote: bool = False) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=remote, trace_flags=_SAMPLED)


def _nanoseconds(trace: Trace, moment: float) -> int:
    return int((trace.began + moment - trace.started) * 1e9)
