"""How many requests one address may send a minute."""

from __future__ import annotations

import ipaddress
import math
import time

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter


class RateLimit:
    """Counts by client address, in this process; an IPv6 client is known by its network (/64)."""

    def __init__(self, requests_per_minute: int) -> None:
        self._item = RateLimitItemPerMinute(requests_per_minute)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def hit(self, client: tuple[str, int] | None) -> int:
        """Count a request. Returns 0, or the seconds to wait where it is one too many."""
        address = _group(client[0] if client else "")
        if await self._limiter.hit(self._item, address):
            return 0
        window = await self._limiter.get_window_stats(self._item, address)
        return max(1, math.ceil(window.reset_time - time.time()))


def _group(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 6:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
