"""The pages as Streamlit runs them, on a real engine, without a browser."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager

import pytest
from streamlit.testing.v1 import AppTest

from app import bridge as bridges
from app.bridge import Bridge, get_bridge, publish
from app.visitor import Visitor
from engine.access.principal import SYSTEM, Role, acting
from engine.engine import Engine, open_engine
from engine.settings import Settings
from tests.conftest import ROOT

Serve = Callable[..., AbstractContextManager[Bridge]]
OpenTab = Callable[..., AppTest]
SignIn = Callable[[str], None]

PASSWORD = "correct horse battery"
ACCOUNTS: dict[str, Role] = {"root": "admin", "olga": "operator", "emma": "editor", "rita": "reader"}


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


@pytest.fixture(scope="module")
def guarded(serve: Serve) -> Iterator[Bridge]:
    """An engine with access control, and somebody of each role."""
    with serve(access_control=True) as bridge:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bridges, "visitor", lambda: None)

            async def add(engine: Engine) -> None:
                with acting(SYSTEM):
                    for name, role in ACCOUNTS.items():
                        await engine.entrance.accounts.add(name, role, PASSWORD)

            bridge.call(add)
        yield bridge


@pytest.fixture
def come_as(guarded: Bridge, monkeypatch: pytest.MonkeyPatch) -> SignIn:
    """Signs in; the cookie, which these tabs cannot have, is handed over."""

    def come(name: str) -> None:
        monkeypatch.setattr(bridges, "visitor", lambda: None)
        token = guarded.call(lambda engine: engine.entrance.sign_ins.sign_in(name, PASSWORD))
        monkeypatch.setattr(bridges, "visitor", lambda: Visitor(token=token))

    return come
