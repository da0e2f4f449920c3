"""A cross-encoder behind HTTP: `POST /rerank` of TEI, Infinity, vLLM, Jina and Cohere.

One server with a GPU can so serve many processes. It is never needed: the first failure marks it
as down, so that only the requests under way wait for it, no longer than the time-out; while it is
down a task of its own asks whether it is back, and no question pays for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from engine.documents.model import Passage
from engine.errors import BadInput, ModelUnavailable, Unavailable
from engine.reranking.base import RerankerState, Scores
from engine.reranking.options import RerankerOptions
from engine.reranking.reading import readable

if TYPE_CHECKING:
    import httpx2

BATCH = 32  # passages a request; what TEI accepts as it comes
PROBE_SECONDS, LONGEST_PROBE_SECONDS = 2.0, 60.0  # between two looks at a server that failed
SCALE = 2.0  # logits
_CONNECT_SECONDS = 1.0
_CHARACTERS = 4_000  # of a passage or a question; servers read some 512 to 8,192 tokens
_CERTAIN = 1e-5  # probabilities nearer to 0 or 1 are no more certain than this
_PAUSE = 0.1  # seconds before a request is repeated

_Form = Literal["tei", "jina"]
_NO_URL = "The remote reranker has no address."
_SET_URL = "Set RERANKER_URL."


class _Down(Exception):
    """The server cannot serve; says why."""


class RemoteReranker:
    """A Reranker. The form that the server speaks is found by trying, and remembered."""

    name = "remote"
    depth = BATCH

    def __init__(self, options: RerankerOptions, *, probe_seconds: float = PROBE_SECONDS) -> None:
        self._model = options.remote_model
        self._timeout = options.timeout_seconds
        self._probe_seconds = probe_seconds
        known: tuple[_Form, _Form] = ("jina", "tei") if options.remote_model else ("tei", "jina")
        self._forms: tuple[_Form, ...] = known if options.remote_api == "auto" else (options.remote_api,)
        self._of_logits: set[_Form] = set()
        self._why = ""
        self._waiting = 0
        self._probing: asyncio.Task[None] | None = None
        self._client: httpx2.AsyncClient | None = None
        if options.remote_url:
            self._open(options)

    async def score(self, question: str, passages: Sequence[Passage]) -> Scores:
        """Logits; a server's probabilities are turned into them.

        None for empty passages and for those that the server left out or did not score in time;
        then the notice says so. Raises Unavailable where it scored none.
        """
        if self._client is None:
            raise ModelUnavailable(_NO_URL, hint=_SET_URL)
        values: list[float | None] = [None] * len(passages)
        asked = [i for i, passage in enumerate(passages) if passage.text.strip()] if question.strip() else []
        if not asked:
            return self._scores(values, "There is no text to score.")
        if self._why:
            raise Unavailable(f"The reranker at {self._host} is left alone for now: {self._why}.")
        why = await self._fill(values, question, passages, asked)
        if all(value is None for value in values):
            raise Unavailable(
                f"The reranker at {self._host} does not serve: {why}.", hint="Check RERANKER_URL."
            )
        return self._scores(values, f"{why}.")

    def _scores(self, values: Sequence[float | None], why: str) -> Scores:
        """What the server charges is not known."""
        return Scores(tuple(values), SCALE, self.name, _notice(values, why), cost_usd=None)

    def state(self) -> RerankerState:
        """What the latest requests met; asks nothing."""
        if self._client is None:
            return RerankerState("failed", f"{_NO_URL} {_SET_URL}")
        if self._why:
            return RerankerState("failed", f"The reranker at {self._host} does not serve: {self._why}.")
        return RerankerState(waiting=self._waiting)

    async def aclose(self) -> None:
        """Close the connections."""
        if self._probing is not None:
            self._probing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._probing
        if self._client is not None:
            await self._client.aclose()

    def _open(self, options: RerankerOptions) -> None:
        import httpx2

        url = urlsplit(options.remote_url)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise BadInput("RERANKER_URL is no address.", hint="It must begin with http:// or https://.")
        path = url.path.rstrip("/")
        path = path if path.endswith("/rerank") else f"{path}/rerank"
        self._host = f"{url.hostname}:{url.port}" if url.port else url.hostname
        self._url = url._replace(path=path).geturl()
        key = options.remote_api_key
        self._client = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx2.Timeout(self._timeout, connect=min(_CONNECT_SECONDS, self._timeout)),
        )

    async def _fill(
        self, values: list[float | None], question: str, passages: Sequence[Passage], asked: list[int]
    ) -> str:
        """Write scores into `values`; returns why some are missing, if they are."""
        reasons: list[str] = []

        async def batch(places: list[int]) -> None:
            texts = [readable(passages[i], _CHARACTERS) for i in places]
            try:
                found = await self._ask(question[:_CHARACTERS], texts)
            except _Down as down:
                reasons.append(str(down))
                self._go_down(str(down))
            except Unavailable as error:
                reasons.append(error.message)
            else:
                if len(found) < len(places):
                    reasons.append("it left passages out, or named some that do not exist")
                for n, logit in found.items():
                    values[places[n]] = logit

        self._waiting += len(asked)
        try:
            async with asyncio.timeout(self._timeout):
                starts = range(0, len(asked), BATCH)
                await asyncio.gather(*(batch(asked[start : start + BATCH]) for start in starts))
        except TimeoutError:
            reasons.append(f"it took longer than {self._timeout:g} s")
            if all(value is None for value in values):
                self._go_down(reasons[-1])
        finally:
            self._waiting -= len(asked)
        return reasons[0] if reasons else "there is no text in them"

    async def _ask(self, question: str, texts: list[str]) -> dict[int, float]:
        """Logit by place. Raises _Down, or Unavailable where only this request is refused."""
        refused = ""
        for form in self._forms:
            response = await self._send(form, question, texts)
            if response.status_code in (400, 422):
                refused = refused or f"it refuses what it is asked ({response.status_code})"
                continue
            if len(self._forms) > 1:
                other: _Form = "jina" if form == "tei" else "tei"
                self._forms = (form, other)
            return self._as_logits(form, _read(response, len(texts)))
        raise Unavailable(refused)

    async def _send(self, form: _Form, question: str, texts: list[str]) -> httpx2.Response:
        """The answer, after one repeat if that may help. Raises _Down, and Unavailable if it is busy."""
        import httpx2

        assert self._client is not None
        body = _body(form, self._model, question, texts)
        for last in (False, True):
            try:
                response = await self._client.post(self._url, json=body)
            except httpx2.TimeoutException as error:
                raise _Down("it does not answer in time") from error
            except httpx2.HTTPError as error:
                if last:
                    raise _Down("it cannot be reached") from error
                pause = _PAUSE
            else:
                status = response.status_code
                if status in (200, 400, 422):
                    return response
                if status in (401, 403):
                    raise _Down("it refuses the key; check RERANKER_API_KEY")
                if status == 413:
                    raise Unavailable("the passages are too long for it")
                if status != 429 and status < 500:
                    raise _Down(f"it answers with status {status}; check RERANKER_URL")
                pause = _retry_after(response)
                if last or pause >= self._timeout:
                    raise (
                        Unavailable("it is busy")
                        if status == 429
                        else _Down(f"it fails with status {status}")
                    )
            await asyncio.sleep(pause)
        raise AssertionError("the second try returns or raises")

    def _as_logits(self, form: _Form, scores: dict[int, float]) -> dict[int, float]:
        """A server gives either probabilities or logits: one score outside [0, 1] tells which."""
        if any(not 0 <= score <= 1 for score in scores.values()):
            self._of_logits.add(form)
        return scores if form in self._of_logits else {n: _logit(score) for n, score in scores.items()}

    def _go_down(self, why: str) -> None:
        self._why = why
        if self._probing is None or self._probing.done():
            self._probing = asyncio.create_task(self._until_back(), name="remote reranker probe")

    async def _until_back(self) -> None:
        pause = self._probe_seconds
        while self._why:
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PROBE_SECONDS)
            try:
                async with asyncio.timeout(self._timeout):
                    await self._ask("Is it there?", ["It is there."])
            except _Down as down:
                self._why = str(down)
            except TimeoutError:
                self._why = f"it took longer than {self._timeout:g} s"
            except Unavailable as error:
                self._why = error.message
            else:
                self._why = ""


def _body(form: _Form, model: str, question: str, texts: list[str]) -> dict[str, Any]:
    if form == "tei":
        return {"query": question, "texts": texts, "raw_scores": True, "truncate": True}
    asked: dict[str, Any] = {"query": question, "documents": texts, "top_n": len(texts)}
    return asked | ({"model": model} if model else {})


def _read(response: httpx2.Response, count: int) -> dict[int, float]:
    """Score by place; without places that do not exist, come again, or have no number."""
    try:
        told = response.json()
    except ValueError as error:
        raise _Down("its answer is not JSON") from error
    items = told.get("results") if isinstance(told, dict) else told
    if not isinstance(items, list):
        raise _Down("its answer holds no scores")
    scores: dict[int, float] = {}
    for item in items:
        if not isinstance(item, dict):
            continue
        place, score = item.get("index"), item.get("relevance_score", item.get("score"))
        if type(place) is not int or not 0 <= place < count or place in scores:
            continue
        if isinstance(score, int | float) and math.isfinite(score):
            scores[place] = float(score)
    if not scores:
        raise _Down("its answer holds no scores")
    return scores


def _logit(probability: float) -> float:
    clipped = min(max(probability, _CERTAIN), 1 - _CERTAIN)
    return math.log(clipped / (1 - clipped))


def _retry_after(response: httpx2.Response) -> float:
    """Seconds; dates are not worth waiting for."""
    try:
        return max(_PAUSE, float(response.headers.get("Retry-After", _PAUSE)))
    except ValueError:
        return _PAUSE


def _notice(values: Sequence[float | None], why: str) -> str:
    missing = sum(value is None for value in values)
    if not missing:
        return ""
    return f"{missing} of {len(values)} passages got no score from remote: {why}"
