"""The docs page: Swagger UI over the OpenAPI description, from this server alone."""

from __future__ import annotations

from importlib.resources import files

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

_ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
}
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Dossier's REST API</title>
<link rel="icon" href="/api/docs/favicon-32x32.png">
<link rel="stylesheet" href="/api/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/api/docs/swagger-ui-bundle.js"></script>
<script src="/api/docs/start.js"></script>
</body>
</html>
"""
# Without a validator: Swagger UI would send the description to one of its own.
_START = """SwaggerUIBundle({
  url: "/api/openapi.json", dom_id: "#swagger-ui", validatorUrl: null, deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis], docExpansion: "list", defaultModelsExpandDepth: 0,
});
"""
_POLICY = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
}


def docs_routes() -> APIRouter:
    """`/api/docs` and what it loads."""
    router = APIRouter(prefix="/api/docs", include_in_schema=False)

    @router.get("")
    async def page() -> Response:
        return HTMLResponse(_PAGE, headers=_POLICY)

    @router.get("/start.js")
    async def start() -> Response:
        return Response(_START, media_type="text/javascript")

    @router.get("/{name}")
    def asset(name: str) -> Response:
        if name not in _ASSETS:
            raise HTTPException(404)
        content = (files("fastapi_swagger") / "resources" / name).read_bytes()
        return Response(content, headers={"Cache-Control": "max-age=86400"}, media_type=_ASSETS[name])

    return router
