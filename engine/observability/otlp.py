"""Traces sent to an OpenTelemetry collector, by OTLP over HTTP, aside and in batches.

A collector that is slow or gone costs nothing but traces: the queue is bounded, and its oldest
go first. Texts are never sent: a span tells of lengths, counts and names. The protocol's messages
are made straight from our spans, which takes less than a quarter of the SDK's time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan

from engine.observability.trace import Span, Trace

log = logging.getLogger(__name__)

SEND_SECONDS = 3.0  # longest that one batch takes
EVERY_SECONDS = 2.0
WAITING_TRACES = 2000
BATCH_TRACES = 400

_HEADERS = {"Content-Type": "application/x-protobuf"}
_CLIENTS = ("database", "language model")  # spans that wait for a server


class OtlpTraces:
    """A Listener that exports. endpoint: of the collector; without a path, ``/v1/traces`` is meant."""

    def __init__(self, endpoint: str, headers: Mapping[str, str]) -> None:
        path = "" if urlsplit(endpoint).path.strip("/") else "/v1/traces"
        self._address = endpoint.rstrip("/") + path
        self._client = httpx2.AsyncClient(timeout=SEND_SECONDS, headers=_HEADERS | dict(headers))
        self._waiting: deque[Trace] = deque(maxlen=WAITING_TRACES)
        self._sending: asyncio.Task[None] | None = None
        self._resource = Resource()
        _add_attributes(self._resource, {"service.name": "dossier", "service.instance.id": str(os.getpid())})
        self._well = True

    def begun(self) -> None:
        """Nothing is sent before a trace has ended."""

    def ended(self, trace: Trace) -> None:
        """Queue it."""
        self._waiting.append(trace)
        if self._sending is None:
            self._sending = asyncio.create_task(self._send_on(), name="export of traces")

    async def flush(self) -> bool:
        """Send what is queued. False where the collector does not take it: it stays queued."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH_TRACES, len(self._waiting)))]
            try:
                taken = await self._send(batch)
            except asyncio.CancelledError:
                self._keep(batch)
                raise
            if not taken:
                self._keep(batch)
                return False
        return True

    async def probe(self) -> str:
        """What is wrong with the collector, by an export without spans; empty if nothing is."""
        return await self._problem([])

    async def aclose(self) -> None:
        """Send what is queued, as far as that goes within SEND_SECONDS."""
        if self._sending is not None:
            self._sending.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sending
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SEND_SECONDS):
                await self.flush()
        await self._client.aclose()

    async def _send_on(self) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            await self.flush()

    async def _send(self, batch: Sequence[Trace]) -> bool:
        """Whether the collector took it, or will never do."""
        problem = await self._problem(batch)
        if bool(problem) == self._well:
            self._well = not problem
            log.warning(
                "OTLP_ENDPOINT %s", f"takes no traces: {problem}" if problem else "takes traces again"
            )
        return not problem or problem.startswith("it answers 4")

    async def _problem(self, batch: Sequence[Trace]) -> str:
        try:
            body = await asyncio.to_thread(self._encode, batch)
            reply = await self._client.post(self._address, content=body)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return type(error).__name__
        return f"it answers {reply.status_code}" if reply.status_code >= 400 else ""

    def _keep(self, batch: Sequence[Trace]) -> None:
        room = WAITING_TRACES - len(self._waiting)
        self._waiting.extendleft(reversed(batch[max(0, len(batch) - room) :]))

    def _encode(self, batch: Sequence[Trace]) -> bytes:
        """Filled in place: a part that is made by itself would be copied into each one around it."""
        request = ExportTraceServiceRequest()
        ours = request.resource_spans.add()
        ours.resource.CopyFrom(self._resource)
        scope = ours.scope_spans.add()
        scope.scope.name = "dossier"
        for trace in batch:
            _add_spans(scope, trace)
        packed: bytes = request.SerializeToString()
        return packed


def _add_spans(scope: ScopeSpans, trace: Trace) -> None:
    trace_id = trace.id.to_bytes(16, "big")
    caller = trace.parent_id.to_bytes(8, "big") if trace.parent_id else b""
    ids = {span: (random.getrandbits(64) or 1).to_bytes(8, "big") for span in trace.spans}
    zero = trace.began - trace.started  # from our clock to the epoch
    for span, span_id in ids.items():
        sent = scope.spans.add()
        sent.trace_id = trace_id
        sent.span_id = span_id
        sent.parent_span_id = _above(span, ids, caller)
        sent.name = span.name
        sent.kind = _kind(span)
        sent.start_time_unix_nano = int((zero + span.started) * 1e9)
        sent.end_time_unix_nano = int((zero + (span.ended or trace.ended or span.started)) * 1e9)
        _add_attributes(sent, span.attributes.copy(), "dossier.")  # it may still go on
        if failed := span.attributes.get("error") or (trace.error if span.parent is None else ""):
            sent.status.code = Status.STATUS_CODE_ERROR
            sent.status.message = str(failed)


def _above(span: Span, ids: Mapping[Span, bytes], caller: bytes) -> bytes:
    above = span.parent
    while above is not None and above not in ids:  # there was no room for it
        above = above.parent
    return caller if above is None else ids[above]


def _kind(span: Span) -> OtlpSpan.SpanKind.ValueType:
    if span.parent is None:
        return OtlpSpan.SPAN_KIND_SERVER
    return OtlpSpan.SPAN_KIND_CLIENT if span.name.startswith(_CLIENTS) else OtlpSpan.SPAN_KIND_INTERNAL


def _add_attributes(to: OtlpSpan | Resource, values: Mapping[str, Any], prefix: str = "") -> None:
    for name, value in values.items():
        sent = to.attributes.add()
        sent.key = prefix + name
        if isinstance(value, bool):
            sent.value.bool_value = value
        elif isinstance(value, int):
            sent.value.int_value = value
        elif isinstance(value, float):
            sent.value.double_value = value
        else:
            sent.value.string_value = str(value)
