"""Redis: reached in time, new enough, writable, and told what to do when it is full."""

from __future__ import annotations

import time
from collections.abc import Sequence

from engine.doctor.check import Check, Parts
from engine.errors import RedisUnavailable

OLDEST = 6
_KEY = "dossier:doctor"


async def check_redis(parts: Parts) -> Sequence[Check]:
    """Ping, write, read and INFO."""
    settings, redis = parts.settings, parts.redis
    if redis is None:
        return [Check("Redis", "ok", "Not asked for.")]
    try:
        began = time.perf_counter()
        await redis.run(lambda r: r.ping())
        ping = (time.perf_counter() - began) * 1000
        info = await redis.run(lambda r: r.info())
    except RedisUnavailable as error:
        advice = "Check REDIS_URL. Until then L1 and L3 cache, and sessions come from PostgreSQL."
        return [Check("Redis", "failed", error.message, advice)]
    valkey = info.get("valkey_version")
    version = str(valkey or info["redis_version"])
    most, policy = int(info.get("maxmemory", 0)), str(info.get("maxmemory_policy", "noeviction"))
    bound = f"{most / 1e6:,.0f} MB" if most else "no bound"
    seen = (
        f"{'Valkey' if valkey else 'Redis'} {version}, answers in {ping:.1f} ms,"
        f" {int(info['used_memory']) / 1e6:,.0f} MB of {bound}, maxmemory-policy {policy}."
    )
    if int(version.split(".")[0]) < OLDEST:
        return [Check("Redis", "failed", seen, f"Dossier needs Redis {OLDEST} or newer, or Valkey.")]
    try:
        await redis.run(lambda r: r.set(_KEY, "1", px=1000))
    except RedisUnavailable as error:
        return [
            Check("Redis", "failed", f"{seen} {error.message}", "Give it memory, or the primary's address.")
        ]
    if ping > settings.redis_timeout_seconds * 500:
        return [
            Check(
                "Redis",
                "warning",
                seen,
                f"That is more than half of REDIS_TIMEOUT_SECONDS={settings.redis_timeout_seconds}: raise it,"
                " or use a nearer Redis.",
            )
        ]
    if most and policy == "noeviction" and settings.enable_redis_cache:
        return [
            Check(
                "Redis",
                "warning",
                seen,
                "When it is full it will refuse every write: set maxmemory-policy allkeys-lru.",
            )
        ]
    if not most:
        return [
            Check(
                "Redis",
                "warning",
                seen,
                "Without a bound it can take all memory: set maxmemory, and maxmemory-policy allkeys-lru.",
            )
        ]
    return [Check("Redis", "ok", seen)]
