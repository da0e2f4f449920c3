"""How much one address may send, and one account ask, a minute."""

from __future__ import annotations

import ipaddress
import math
import time

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from engine.access.principal import Access
from engine.errors import TooMany


class RateLimit:
    """Counts in this process, each of those that it is told of by themselves."""

    def __init__(self, requests_per_minute: int) -> None:
        self._item = RateLimitItemPerMinute(requests_per_minute)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def hit(self, who: str) -> int:
        """Count a request. Returns 0, or the seconds to wait where it is one too many."""
        if await self._limiter.hit(self._item, who):
            return 0
        window = await self._limiter.get_window_stats(self._item, who)
        return max(1, math.ceil(window.reset_time - time.time()))


class QuestionRate:
    """What accounts ask, on pages and by keys alike. limit: None where it is not counted.

    Without access control there is nobody to tell apart, and nothing is counted here.
    """

    def __init__(self, limit: RateLimit | None, access: Access) -> None:
        self._limit = limit
        self._access = access

    async def check(self) -> None:
        """Count a question of whoever acts. Raises TooMany."""
        if self._limit is None or (who := self._access.restricted()) is None:
            return
        if wait := await self._limit.hit(who.id):
            raise TooMany("That is more than an account may ask in a minute.", seconds=wait)


def sender(client: tuple[str, int] | None) -> str:
    """Whom a request's address stands for; an IPv6 client is known by its network (/64)."""
    host = client[0] if client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.version == 6:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
