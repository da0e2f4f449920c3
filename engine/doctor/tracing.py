"""The OpenTelemetry collector: it takes an empty export."""

from __future__ import annotations

from collections.abc import Sequence

from engine.doctor.check import Check, Parts
from engine.observability.headers import parse_headers


async def check_collector(parts: Parts) -> Sequence[Check]:
    """An export without spans is valid, and changes nothing."""
    settings = parts.settings
    if not settings.otlp_endpoint:
        return [Check("traces", "ok", "Kept in memory; no collector is asked for.")]
    from engine.observability.otlp import OtlpTraces

    exporter = OtlpTraces(settings.otlp_endpoint, parse_headers(settings.otlp_headers.get_secret_value()))
    try:
        problem = await exporter.probe()
    finally:
        await exporter.aclose()
    if problem:
        return [
            Check("traces", "warning", f"OTLP_ENDPOINT takes none: {problem}.", "Check it, and OTLP_HEADERS.")
        ]
    return [Check("traces", "ok", "The collector takes them.")]
