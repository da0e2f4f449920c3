"""Settings that contradict each other, or that nothing uses: what no single value can show."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address

import psutil

from engine.doctor.check import Check, Parts
from engine.settings import Settings

Problem = tuple[str, str]  # what was seen, what to do


async def check_settings(parts: Parts) -> Sequence[Check]:
    """Every rule that is broken; one `ok` where none is."""
    problems = [problem for rule in _RULES for problem in rule(parts.settings)]
    problems += _token_vectors(parts)
    if parts.running:
        problems += await asyncio.to_thread(_in_the_open, parts.settings)
    if not problems:
        return [Check("settings", "ok", "None contradicts another.")]
    return [Check("settings", "warning", seen, advice) for seen, advice in problems]


def _pgbouncer(settings: Settings) -> Iterator[Problem]:
    if settings.pgbouncer_url and not settings.use_pgbouncer:
        yield (
            "PGBOUNCER_URL is given, USE_PGBOUNCER is off.",
            "Set USE_PGBOUNCER=true, or remove the address.",
        )
    if settings.use_pgbouncer and settings.pgbouncer_url == settings.database_url:
        yield (
            "PGBOUNCER_URL and DATABASE_URL are the same.",
            "Migrations need PostgreSQL's own address in DATABASE_URL.",
        )
    if settings.use_pgbouncer and not settings.database_url:
        yield (
            "USE_PGBOUNCER is on, and PostgreSQL is the embedded one, which one process starts.",
            "It works; for several machines give DATABASE_URL.",
        )


def _redis(settings: Settings) -> Iterator[Problem]:
    used = settings.enable_redis_cache or settings.enable_redis_sessions
    if not used and _given(settings, "redis_url"):
        yield (
            "REDIS_URL is given, and nothing uses Redis.",
            "Set ENABLE_REDIS_CACHE or ENABLE_REDIS_SESSIONS, or remove it.",
        )


def _cache(settings: Settings) -> Iterator[Problem]:
    in_process = settings.l1_cache_maxsize > 0 and settings.l1_cache_max_bytes > 0
    if not (in_process or settings.enable_redis_cache or settings.enable_postgres_cache):
        yield (
            "Every cache layer is off: each question is computed anew.",
            "Set L1_CACHE_MAXSIZE, ENABLE_REDIS_CACHE or ENABLE_POSTGRES_CACHE.",
        )
    if settings.enable_postgres_cache and settings.l3_cache_max_bytes == 0:
        yield "ENABLE_POSTGRES_CACHE is on with L3_CACHE_MAX_BYTES=0.", "Give it room, or switch it off."
    if settings.enable_semantic_cache and settings.l1_cache_maxsize == 0:
        yield (
            "ENABLE_SEMANTIC_CACHE remembers L1_CACHE_MAXSIZE questions, which is 0.",
            "Raise L1_CACHE_MAXSIZE, or switch it off.",
        )


def _models(settings: Settings) -> Iterator[Problem]:
    key = bool(settings.openai_api_key.get_secret_value() or settings.openai_base_url)
    if not key:
        for name, value in (
            ("EMBEDDER", settings.embedder),
            ("DEFAULT_RERANKER_TYPE", settings.default_reranker_type),
        ):
            if value == "openai":
                yield f"{name}=openai without OPENAI_API_KEY or OPENAI_BASE_URL.", "Give one of them."
        if _given(settings, "openai_model"):
            yield (
                "OPENAI_MODEL is given without OPENAI_API_KEY or OPENAI_BASE_URL: answers are quotes.",
                "Give one of them.",
            )
    if settings.default_reranker_type == "remote" and not settings.reranker_url.get_secret_value():
        yield "DEFAULT_RERANKER_TYPE=remote without RERANKER_URL.", "Give its address."
    cores = psutil.cpu_count() or 1
    if settings.model_threads > cores:
        yield (
            f"MODEL_THREADS={settings.model_threads} on {cores} cores: models only get slower.",
            "Set it to 0, which is one a core.",
        )


def _sizes(settings: Settings) -> Iterator[Problem]:
    if settings.default_rerank_top_n > settings.default_retrieval_k:
        yield (
            f"DEFAULT_RERANK_TOP_N={settings.default_rerank_top_n} is more than"
            f" DEFAULT_RETRIEVAL_K={settings.default_retrieval_k} finds.",
            "Raise DEFAULT_RETRIEVAL_K.",
        )
    if settings.request_timeout_seconds <= settings.database_pool_timeout_seconds:
        yield (
            f"REQUEST_TIMEOUT_SECONDS={settings.request_timeout_seconds} ends before"
            f" DATABASE_POOL_TIMEOUT_SECONDS={settings.database_pool_timeout_seconds}:"
            " a busy pool is told as a time-out.",
            "Raise the first or lower the second.",
        )


def _outside(settings: Settings) -> Iterator[Problem]:
    if settings.otlp_headers.get_secret_value() and not settings.otlp_endpoint:
        yield "OTLP_HEADERS are given without OTLP_ENDPOINT: nothing is exported.", "Give the endpoint."


_RULES: tuple[Callable[[Settings], Iterator[Problem]], ...] = (
    _pgbouncer,
    _redis,
    _cache,
    _models,
    _sizes,
    _outside,
)


def _given(settings: Settings, name: str) -> bool:
    return name in settings.model_fields_set


def _token_vectors(parts: Parts) -> Iterator[Problem]:
    embedder = parts.embedder
    if parts.settings.enable_semantic_cache and embedder is not None and not embedder.token_dimension:
        yield (
            f"ENABLE_SEMANTIC_CACHE compares token vectors, and {embedder.name} gives none: it never hits.",
            "Switch it off, or set EMBEDDER to one that does.",
        )


def _in_the_open(settings: Settings) -> Iterator[Problem]:
    """What this process serves to other machines."""
    listening = psutil.Process(os.getpid()).net_connections(kind="tcp")
    open_to = sorted(
        {
            f"{own.laddr.ip}:{own.laddr.port}"
            for own in listening
            if own.status == psutil.CONN_LISTEN and not ip_address(own.laddr.ip).is_loopback
        }
    )
    if not open_to:
        return
    if not settings.rate_limit_enabled:
        yield (
            f"Other machines reach {', '.join(open_to)}, and RATE_LIMIT_ENABLED is off.",
            "Set RATE_LIMIT_ENABLED=true, or listen on 127.0.0.1 behind a proxy that limits.",
        )
    if not settings.access_control:
        yield (
            f"Other machines reach {', '.join(open_to)}, and ACCESS_CONTROL is off: nobody is asked.",
            "Set ACCESS_CONTROL=true, and add accounts and keys.",
        )
