"""REST over the engine: routes, limits, problem details. Nothing outside knows of HTTP.

rest = make_api(lambda: engine)          # an ASGI application; `serves(path)` tells its paths
"""

from __future__ import annotations

from engine.api.app import Api, make_api

__all__ = ["Api", "make_api"]
