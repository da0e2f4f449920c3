"""The pages as Streamlit runs them, on a real engine, without a browser."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager

import pytest
from streamlit.testing.v1 import AppTest

from app.bridge import Bridge, get_bridge, publish
from engine.engine import open_engine
from engine.settings import Settings
from tests.conftest import ROOT

Serve = Callable[..., AbstractContextManager[Bridge]]
OpenTab = Callable[..., AppTest]


@pytest.fixture(scope="session")
def serve(make_settings: Callable[..., Settings]) -> Serve:
    """Runs a fresh engine for the pages: ``with serve(setting=value) as bridge``."""

    @contextmanager
    def served(**given: object) -> Iterator[Bridge]:
        ready: Future[Bridge] = Future()
        done = threading.Event()

        async def live() -> None:
            async with open_engine(make_settings(**given)) as engine:
                ready.set_result(Bridge(engine, asyncio.get_running_loop()))
                await asyncio.to_thread(done.wait)

        def run() -> None:
            try:
                asyncio.run(live())
            except BaseException as error:
                if ready.done():
                    raise
                ready.set_exception(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            publish(ready.result())
            get_bridge.clear()
            yield ready.result()
        finally:
            publish(None)
            get_bridge.clear()
            done.set()
            thread.join()

    return served


@pytest.fixture
def open_tab() -> OpenTab:
    """A browser tab at an address: ``open_tab(session=…)``."""

    def opened(**parameters: str) -> AppTest:
        tab = AppTest.from_file(str(ROOT / "app" / "ui.py"), default_timeout=30)
        for name, value in parameters.items():
            tab.query_params[name] = value
        return tab.run()

    return opened
