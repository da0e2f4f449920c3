"""The one way from Streamlit's script threads to the engine, which lives on the server's loop."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar, cast

import streamlit as st

from app.pacing import PAGES
from app.visitor import Visitor, visitor
from engine import Engine, open_engine
from engine.access.principal import Permission, Principal, acting
from engine.errors import Unavailable
from engine.observability.trace import Origin

CALL_SECONDS = 60.0  # longest that a page waits for one call
TICK_SECONDS = 0.2  # how often a page that follows a stream may look up
CLOSE_SECONDS = 5.0  # longest wait for a stopped stream to put its things away

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Failed:
    error: BaseException


_END = object()


class Bridge:
    """Runs engine work on the engine's loop, for callers in other threads."""

    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop) -> None:
        self._engine = engine
        self._loop = loop

    @property
    def language_model(self) -> str:
        """The model that writes answers; empty where they are quotes."""
        return self._engine.language_model

    @property
    def draining(self) -> bool:
        """Whether this process takes nothing new."""
        return self._engine.drain.since is not None

    def call(self, work: Callable[[Engine], Awaitable[Result]]) -> Result:
        """Do one thing and wait for it. Raises what it raises; Unavailable if it takes too long."""
        return self._call(work, self._visitor())

    def later(self, work: Callable[[Engine], Awaitable[Result]]) -> Callable[[], Result]:
        """`call` outside the page's run, where nobody knows any more for whom: for download buttons."""
        who = self._visitor()
        return lambda: self._call(work, who)

    def _call(self, work: Callable[[Engine], Awaitable[Result]], who: Visitor | None) -> Result:
        async def run() -> Result:
            async with self._for(who):
                return await work(self._engine)

        future = asyncio.run_coroutine_threadsafe(run(), self._loop)
        try:
            with PAGES.waiting():
                return future.result(CALL_SECONDS)
        except TimeoutError as error:
            future.cancel()
            raise Unavailable(
                "This takes too long.", hint="Try again in a moment; the operations page may show why."
            ) from error

    def follow(self, work: Callable[[Engine], AsyncIterator[Result]]) -> Generator[Result | None]:
        """Items as they come, and None every moment in which none came.

        Closing the iterator, or leaving it by an exception (Stop, a rerun, a closed tab),
        cancels the work and waits until it has put its things away.
        """
        items: queue.SimpleQueue[object] = queue.SimpleQueue()
        closed = threading.Event()
        pump = self._pump(work, self._visitor(), items, closed, time.perf_counter())
        future = asyncio.run_coroutine_threadsafe(pump, self._loop)
        try:
            while True:
                try:
                    with PAGES.waiting():
                        item = items.get(timeout=TICK_SECONDS)
                except queue.Empty:
                    yield None
                    continue
                if item is _END:
                    return
                if isinstance(item, _Failed):
                    raise item.error
                yield cast(Result, item)
        finally:
            if not future.done():
                future.cancel()
                with PAGES.waiting():
                    closed.wait(CLOSE_SECONDS)

    def principal(self) -> Principal:
        """Whom the page is for. Raises NotSignedIn."""

        async def acts(engine: Engine) -> Principal:
            return engine.access.principal()

        return self.call(acts)

    def may(self, permission: Permission) -> bool:
        """Whether whoever the page is for may do that; the engine decides again when they do."""
        return not self.guarded or self.principal().may(permission)

    def visitor_id(self) -> str:
        """What a page that keeps things must keep them by; empty where all see the same."""
        return self.principal().id if self.guarded else ""

    @property
    def guarded(self) -> bool:
        """Whether there is access control."""
        return self._engine.access.on

    def _visitor(self) -> Visitor | None:
        return visitor() if self._engine.access.on else None

    @asynccontextmanager
    async def _for(self, who: Visitor | None) -> AsyncIterator[None]:
        """What is done inside is done for this visitor. Raises NotSignedIn."""
        if who is None:
            yield
            return
        with acting(await self._engine.entrance.sign_ins.of_browser(who.token)):
            yield

    async def _pump(
        self,
        work: Callable[[Engine], AsyncIterator[Result]],
        who: Visitor | None,
        items: queue.SimpleQueue[object],
        closed: threading.Event,
        asked: float,
    ) -> None:
        try:
            with Origin("page", started=asked):  # from there on it waits for the loop
                async with self._for(who), aclosing(work(self._engine)) as stream:  # type: ignore[type-var]
                    async for item in stream:
                        items.put(item)
        except Exception as error:
            items.put(_Failed(error))
        finally:
            items.put(_END)
            closed.set()


_served: Bridge | None = None


def publish(bridge: Bridge | None) -> None:
    """Told by the server which engine its pages are to use."""
    global _served
    _served = bridge


@st.cache_resource(show_spinner=False)
def get_bridge() -> Bridge:
    """The server's engine; where there is no server (tests), one on a thread of its own."""
    return _served or _start_alone()


def _start_alone() -> Bridge:
    ready: Future[Bridge] = Future()

    async def live(opening: AbstractAsyncContextManager[Engine]) -> None:
        try:
            async with opening as engine:
                ready.set_result(Bridge(engine, asyncio.get_running_loop()))
                await asyncio.Event().wait()
        except BaseException as error:
            if not ready.done():
                ready.set_exception(error)

    threading.Thread(target=lambda: asyncio.run(live(open_engine())), name="engine", daemon=True).start()
    return ready.result()
