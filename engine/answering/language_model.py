"""Answers written by a language model behind an OpenAI-compatible endpoint.

`openai` is imported when the first LanguageModel is made: 30 MB and 1 s that quoting does without.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import BaseModel

from engine.answering.admission import aside
from engine.answering.base import AnswerRequest, Draft
from engine.answering.citations import resolve_citations
from engine.answering.marks import MarkStream
from engine.answering.prices import cost_usd
from engine.answering.prompts import Message, answer_messages, no_answer
from engine.answering.refusals import RefusalFilter, read_refusal, without_marker
from engine.errors import LanguageModelUnavailable
from engine.observability.trace import note_model_use, span
from engine.text.normalisation import printable

if TYPE_CHECKING:
    import openai
    from openai.types import CompletionUsage
    from openai.types.chat import ChatCompletion, ChatCompletionChunk

OPENAI_URL = "https://api.openai.com/v1"

_Parsed = TypeVar("_Parsed", bound=BaseModel)
_FENCE = re.compile(r"\A\s*```\w*\s*|\s*```\s*\Z")


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of a stream. reason: as the protocol has it (``stop``, ``length`` …)."""

    reason: str


@dataclass(frozen=True, slots=True)
class ModelUse:
    """What a reply took. cost_usd: None where no price is known."""

    prompt_tokens: int
    completion_tokens: int
    cost_usd: float | None


class LanguageModel:
    """A thin client of one chat model. Safe to use from many tasks at once.

    What its replies take is added to the question's trace.
    model: its name, as the endpoint knows it. base_url: None or empty is OpenAI's own.
    timeout_seconds: longest wait for the next piece of a stream, or for a whole `complete`,
        retries and the waits that Retry-After asks for included.
    """

    def __init__(
        self,
        *,
        model: str,
        api_key: str,
        base_url: str | None = None,
        timeout_seconds: float = 30.0,
        max_retries: int = 2,
    ) -> None:
        import openai

        self.name = model
        self._timeout = timeout_seconds
        self._url = base_url or OPENAI_URL
        self._client = openai.AsyncOpenAI(
            api_key=api_key, base_url=self._url, timeout=timeout_seconds, max_retries=max_retries
        )
        self._refused: set[str] = set()

    async def stream(self, messages: Sequence[Message]) -> AsyncGenerator[str | Finished]:
        """Pieces of text as they come and, last, one Finished.

        Raises LanguageModelUnavailable at any point. Closing the generator closes the
        connection at once.
        """
        finished = Finished("")
        traced = span("language model: stream", model=self.name)
        try:
            deadline = asyncio.get_running_loop().time() + self._timeout
            async with asyncio.timeout_at(deadline):
                chunks = await self._start(messages)
            try:
                while True:
                    async with asyncio.timeout_at(deadline):
                        chunk = await anext(chunks, None)
                    if chunk is None:
                        break
                    if chunk.usage is not None:
                        self._count(chunk.usage)
                    piece, reason = _read(chunk)
                    finished = Finished(reason or finished.reason)
                    if piece:
                        traced.mark("first_piece_ms")
                        yield piece
                    deadline = asyncio.get_running_loop().time() + self._timeout
            finally:
                await chunks.close()
        except _failures() as error:
            traced.end(error)
            raise self._unavailable(error, self._timeout) from error
        finally:
            traced.end()
        if not finished.reason:
            raise LanguageModelUnavailable(f"The language model {self.name} broke off in mid-reply.")
        yield finished

    async def complete(
        self,
        messages: Sequence[Message],
        schema: type[_Parsed],
        *,
        timeout_seconds: float | None = None,
        spent: Callable[[ModelUse], None] = lambda _: None,
    ) -> _Parsed:
        """One reply, read as `schema` (all fields required, extra ones forbidden).

        timeout_seconds: for everything, instead of the model's own.
        spent: told what the reply took, also if it then cannot be read.
        Raises LanguageModelUnavailable, also for a reply that does not fit the schema.
        """
        longest = timeout_seconds or self._timeout
        form = {"name": schema.__name__.strip("_"), "strict": True, "schema": schema.model_json_schema()}
        options = {"temperature": 0, "response_format": {"type": "json_schema", "json_schema": form}}
        try:
            with aside(), span("language model: reply", model=self.name):
                async with asyncio.timeout(longest):
                    reply: ChatCompletion = await self._request(messages, options)
            if reply.usage is not None:
                spent(self._count(reply.usage))
            text = reply.choices[0].message.content if reply.choices else None
            return schema.model_validate_json(_FENCE.sub("", text or ""))
        except _failures() as error:
            raise self._unavailable(error, longest) from error

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _count(self, usage: CompletionUsage) -> ModelUse:
        sent, written = usage.prompt_tokens or 0, usage.completion_tokens or 0
        use = ModelUse(sent, written, cost_usd(self.name, sent, written))
        note_model_use(use.prompt_tokens, use.completion_tokens, use.cost_usd)
        return use

    async def _start(self, messages: Sequence[Message]) -> openai.AsyncStream[ChatCompletionChunk]:
        options = {"temperature": 0, "stream_options": {"include_usage": True}}
        chunks: openai.AsyncStream[ChatCompletionChunk] = await self._request(messages, options, stream=True)
        return chunks

    async def _request(self, messages: Sequence[Message], options: dict[str, Any], **fixed: Any) -> Any:
        """Send, leaving out the options that this server has refused before or refuses now."""
        import openai

        while True:
            accepted = {name: value for name, value in options.items() if name not in self._refused}
            try:
                return await self._client.chat.completions.create(
                    model=self.name, messages=cast(Any, list(messages)), **accepted, **fixed
                )
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                refused = {name for name in accepted if name in str(error)}
                if not refused:
                    raise
                self._refused |= refused

    def _unavailable(self, error: Exception, seconds: float) -> LanguageModelUnavailable:
        import openai

        message, hint = "sent a reply that cannot be read.", "Try again in a moment."
        match error:
            case TimeoutError() | openai.APITimeoutError():
                message = f"sent nothing for {seconds:g} s."
                hint = "Try again, or raise OPENAI_TIMEOUT_SECONDS."
            case openai.APIConnectionError():
                message = f"cannot be reached at {self._url}, or broke off."
                hint = "Check OPENAI_BASE_URL and the network."
            case openai.AuthenticationError() | openai.PermissionDeniedError():
                message, hint = "refused the key.", "Check OPENAI_API_KEY."
            case openai.NotFoundError():
                message, hint = f"is not known at {self._url}.", "Check OPENAI_MODEL and OPENAI_BASE_URL."
            case openai.RateLimitError():
                message = "was asked too often, or its quota is used up."
                hint = "Wait a little and try again."
            case openai.APIStatusError():
                message = f"failed with status {error.status_code}."
        return LanguageModelUnavailable(f"The language model {self.name} {message}", hint=hint)


def _failures() -> tuple[type[Exception], ...]:
    """What the client raises; ValueError is JSON cut short, or a reply that does not fit."""
    import openai

    return (openai.OpenAIError, TimeoutError, ValueError)


class LanguageModelAnswerer:
    """Streams an answer that cites its sources as [n]; an Answerer."""

    def __init__(self, model: LanguageModel) -> None:
        self.name = model.name
        self._model = model

    async def stream(self, request: AnswerRequest) -> AsyncGenerator[str | Draft]:
        """See Answerer. Closing the iterator stops the model at once."""
        if not request.sources:
            yield Draft(no_answer(request.language), "no_answer", ())
            return
        written: list[str] = []
        refusal = RefusalFilter()
        marks = MarkStream(len(request.sources))
        finished, notice, started = Finished(""), "", False
        try:
            async with aclosing(self._model.stream(answer_messages(request))) as pieces:
                async for piece in pieces:
                    if isinstance(piece, Finished):
                        finished = piece
                        continue
                    piece = printable(piece)
                    written.append(piece)
                    if shown := marks.feed(refusal.feed(piece)):
                        started = True
                        yield shown
        except LanguageModelUnavailable as error:
            if not started:
                raise
            notice = f"The answer broke off. {error.message}"
        if rest := marks.feed(refusal.flush()) + marks.flush():
            yield rest
        text = "".join(written)
        if not text.strip():
            raise LanguageModelUnavailable(f"The language model {self.name} sent no text.", hint="Try again.")
        if finished.reason in ("length", "content_filter"):
            notice = "The answer was cut off by the language model's own limits."
        yield _draft(request, text, notice)

    async def aclose(self) -> None:
        """Close the model's connections."""
        await self._model.aclose()


def _read(chunk: ChatCompletionChunk) -> tuple[str, str]:
    """The text of a chunk, and why the stream ends with it, if it does."""
    if not chunk.choices:
        return "", ""
    choice = chunk.choices[0]
    return (choice.delta.content or "") if choice.delta else "", choice.finish_reason or ""


def _draft(request: AnswerRequest, text: str, notice: str) -> Draft:
    """The finished text with its citations, or as a "no answer" with what it says."""
    complete = not notice
    refusal = read_refusal(text)
    if refusal is not None:
        said = refusal or no_answer(request.language)
        return Draft(said, "no_answer", (), complete=complete, notice=notice)
    resolved = resolve_citations(without_marker(text).strip(), request.sources, request.question)
    if not resolved.citations and complete:
        notice = "The language model cited no source: check this answer against the documents."
    return Draft(
        resolved.text,
        "generated",
        resolved.citations,
        unsupported=resolved.unsupported,
        removed_citations=resolved.removed,
        complete=complete,
        notice=notice,
    )
