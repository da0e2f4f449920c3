"""Models: the embedder embeds, rerankers can serve, the language model's endpoint knows its model."""

from __future__ import annotations

import time
from collections.abc import Sequence

import httpx2
import numpy as np

from engine.answering.language_model import OPENAI_URL
from engine.doctor.check import Check, Parts

SENTENCE = "Mức bảo đảm dự thầu là bao nhiêu?"
ENDPOINT_SECONDS = 5.0


async def check_embedder(parts: Parts) -> Sequence[Check]:
    """One sentence becomes one vector."""
    embedder = parts.embedder
    if embedder is None:
        error = parts.missing["embedder"]
        return [Check("embedder", "failed", error.message, error.hint)]
    began = time.perf_counter()
    vector = (await embedder.embed_query(SENTENCE)).vector
    spent = (time.perf_counter() - began) * 1000
    length = float(np.linalg.norm(vector))
    seen = f"{embedder.name} gives {len(vector)} dimensions in {spent:.0f} ms"
    if len(vector) != embedder.dimension or not abs(length - 1) < 0.01:
        return [
            Check(
                "embedder",
                "failed",
                f"{seen}, of length {length:.3f}: that is no embedding.",
                f"Delete its folder in {parts.settings.dossier_home / 'models'}; it is made anew.",
            )
        ]
    tokens = "with" if embedder.token_dimension else "without"
    return [Check("embedder", "ok", f"{seen}, {tokens} token vectors.")]


async def check_rerankers(parts: Parts) -> Sequence[Check]:
    """The state of the one that questions go through; of others only that they failed."""
    default = parts.settings.default_reranker_type
    found = []
    if default not in parts.rerankers:
        known = ", ".join(parts.rerankers) or "unknown while the embedder is missing"
        return [
            Check(
                "reranker",
                "failed",
                f"There is no reranker “{default}”.",
                f"Set DEFAULT_RERANKER_TYPE to one of: {known}.",
            )
        ]
    for name, reranker in parts.rerankers.items():
        title = "reranker" if name == default else f"reranker {name}"
        if reranker is None:
            if name == default != "none":
                found.append(
                    Check(title, "warning", f"{name}: not with this embedder.", "Set another EMBEDDER.")
                )
            elif name == default:
                found.append(Check(title, "ok", "None: the order is that of the searches."))
            continue
        state = reranker.state()
        if state.status == "failed" and name == default:
            found.append(Check(title, "failed", f"{name}: {state.why}", "Another order serves until then."))
        elif name == default:
            memory = f", {state.memory_bytes / 1e6:,.0f} MB" if state.memory_bytes else ""
            why = f": {state.why}" if state.why else ""
            found.append(Check(title, "ok", f"{name} is {state.status}{why}{memory}."))
    return found


async def check_language_model(parts: Parts) -> Sequence[Check]:
    """Whether the endpoint answers, takes the key and has the model. It writes nothing."""
    settings = parts.settings
    key = settings.openai_api_key.get_secret_value()
    if not key and not settings.openai_base_url:
        return [Check("language model", "ok", "None: answers are quotes.")]
    address = (settings.openai_base_url or OPENAI_URL).rstrip("/") + "/models"
    try:
        async with httpx2.AsyncClient(timeout=ENDPOINT_SECONDS) as client:
            reply = await client.get(address, headers={"Authorization": f"Bearer {key or 'none'}"})
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return [
            Check(
                "language model",
                "failed",
                f"The endpoint does not answer ({type(error).__name__}).",
                "Check OPENAI_BASE_URL and the network. Answers are quotes until then.",
            )
        ]
    if reply.status_code in (401, 403):
        return [Check("language model", "failed", "The endpoint refuses the key.", "Check OPENAI_API_KEY.")]
    if reply.status_code != 200:
        return [
            Check(
                "language model",
                "warning",
                f"The endpoint lists no models ({reply.status_code}), so nothing is known of"
                f" {settings.openai_model}.",
                "Ask a question to see.",
            )
        ]
    try:
        names = {str(model["id"]) for model in reply.json()["data"]}
    except (ValueError, KeyError, TypeError):
        names = set()
    if names and settings.openai_model not in names:
        return [
            Check(
                "language model",
                "warning",
                f"The endpoint does not list {settings.openai_model}.",
                f"Set OPENAI_MODEL to one of: {', '.join(sorted(names)[:8])}.",
            )
        ]
    return [Check("language model", "ok", f"{settings.openai_model}: the endpoint answers and has it.")]
