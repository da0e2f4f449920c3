"""The form of signing in, what follows on it, and where a browser goes after it."""

from __future__ import annotations

import html
from collections.abc import Mapping
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.visitor import COOKIE

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>{title} · Dossier</title><style>
:root {{ color-scheme: light dark; }}
body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 0; }}
body {{ display: grid; place-items: center; min-height: 90vh; }}
main {{ width: min(22rem, 90vw); }} h1 {{ font-size: 1.4rem; }}
label {{ display: block; margin: .8rem 0 .2rem; }}
input, button {{ font: inherit; width: 100%; box-sizing: border-box; padding: .5rem; border-radius: .5rem; }}
input {{ border: 1px solid #8889; }}
button {{ margin-top: 1.2rem; border: 0; background: #1f6f78; color: #fff; cursor: pointer; }}
[role=alert] {{ border-left: 3px solid #b3261e; padding-left: .7rem; }} a {{ color: #1f8a96; }}
</style></head><body><main><h1>{title}</h1>{body}</main></body></html>"""


def form(providers: Mapping[str, str], wanted: str, alert: str = "", status: int = 200) -> Response:
    """The form. providers: names, with what is written on the way to each. wanted: where to go afterwards."""
    after = f"?next={quote(wanted, safe='')}"
    told = f'<p role="alert">{html.escape(alert)}</p>' if alert else ""
    others = "".join(
        f'<p><a href="/sign-in/with/{quote(name)}{after}">{html.escape(label)}</a></p>'
        for name, label in providers.items()
    )
    body = (
        f'{told}<form method="post" action="/sign-in{after}">'
        '<label for="name">Name</label>'
        '<input id="name" name="name" autocomplete="username" required autofocus>'
        '<label for="password">Password</label>'
        '<input id="password" name="password" type="password" autocomplete="current-password" required>'
        f"<button>Sign in</button></form>{others}"
    )
    return HTMLResponse(PAGE.format(title="Sign in", body=body), status, HEADERS)


def enter(request: Request, wanted: str, token: str, seconds: int) -> Response:
    """Onward, with the cookie of a sign-in that lives so many seconds."""
    response = RedirectResponse(wanted, 303, HEADERS)
    response.set_cookie(
        COOKIE,
        token,
        max_age=seconds,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return response


def onward(given: str) -> str:
    """Where to go after signing in: a place here, never another site."""
    safe = given.startswith("/") and not given.startswith(("//", "/\\", "/sign-")) and given.isprintable()
    return given if safe else "/"
