"""The interface of OpenAI's chat completions over the documents, for clients that speak it."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.responses import Response

from engine.answering.base import Exchange
from engine.answering.model import Answer, Answered, AnswerEvent, AnswerText, Mode
from engine.api.asking import whole
from engine.api.problems import NOT_FOUND, Refused
from engine.api.responses import EventStream, as_json
from engine.api.shapes import FilterBody, RerankerName, answer_shape
from engine.engine import Engine
from engine.errors import BadInput

MODELS: Mapping[str, Mode] = {
    "dossier": "fast",
    "dossier-balanced": "balanced",
    "dossier-thorough": "thorough",
}
_DONE = b"data: [DONE]\n\n"


class TextPart(BaseModel):
    """One part of a message; parts that are no text are refused."""

    type: Literal["text"]
    text: Annotated[str, Field(max_length=100_000)]


class ChatMessage(BaseModel):
    """A message; what it holds beside these is ignored."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[str, Field(max_length=100_000)] | list[TextPart] | None = None

    def text(self) -> str:
        """Its text, from all its parts."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content or ())


class StreamOptions(BaseModel):
    """include_usage: one more chunk with the tokens taken."""

    include_usage: bool = False


class CompletionBody(BaseModel):
    """The last message is the question; earlier ones are what a follow-up may refer to.

    System messages and parameters such as `temperature` are taken and change nothing: the answer
    comes from the documents. filter, reranker: as in `/api/ask`.
    """

    model_config = ConfigDict(frozen=True)

    model: Annotated[str, Field(json_schema_extra={"enum": list(MODELS)})] = "dossier"
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=500)]
    stream: bool = False
    stream_options: StreamOptions | None = None
    filter: FilterBody = FilterBody()
    reranker: RerankerName = None


@dataclass(frozen=True, slots=True)
class Model:
    """A mode of asking, by the name of a model."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "dossier"


@dataclass(frozen=True, slots=True)
class ModelList:
    """All of them."""

    data: tuple[Model, ...]
    object: Literal["list"] = "list"


_COMPLETION: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A chat completion, or with `stream` its chunks as server-sent events. "
        "Beside OpenAI's fields, the completion and the last chunk with a choice hold "
        "`citations` (as in `/api/ask`: number, quote, document_id, title, page …) and "
        "`dossier` (kind, confidence, notice, and the final text, without marks that point nowhere).",
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "text/event-stream": {"schema": {"description": "Server-sent events."}},
        },
    }
}


def completion_routes(engine: Callable[[], Engine]) -> APIRouter:
    """Routes under `/v1`."""
    router = APIRouter(prefix="/v1", tags=["OpenAI-compatible"])

    @router.get("/models", response_model=ModelList, summary="The modes of asking, as models")
    async def models() -> Response:
        return as_json(ModelList(tuple(Model(name) for name in MODELS)))

    @router.post("/chat/completions", responses=_COMPLETION, summary="Ask, as with OpenAI's API")
    async def complete(body: CompletionBody) -> Response:
        if body.model not in MODELS:
            detail = f"There is no model “{body.model}”."
            raise Refused(replace(NOT_FOUND, detail=detail, hint=f"Choose one of: {', '.join(MODELS)}."))
        question = body.messages[-1]
        if question.role != "user":
            raise BadInput("The last message is not the user's.", hint="End with the question.")
        mode = MODELS[body.model]
        events = engine().stream(
            question.text(),
            filter=body.filter.value(),
            mode=mode,
            reranker=body.reranker,
            history=_exchanges(body.messages[:-1]),
        )
        head = {"id": f"chatcmpl-{uuid4().hex}", "created": int(time.time()), "model": body.model}
        if body.stream:
            usage = body.stream_options is not None and body.stream_options.include_usage
            return EventStream(_chunks(events, head, mode, usage=usage))
        answer = (await whole(events)).answer
        message = {"role": "assistant", "content": answer.text, "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": _finish(answer), "logprobs": None}
        return as_json(
            {
                **head,
                "object": "chat.completion",
                "choices": [choice],
                "usage": _usage(answer),
                **_extras(answer, mode),
            }
        )

    return router


def _exchanges(messages: list[ChatMessage]) -> tuple[Exchange, ...]:
    """Questions with the answers that followed them."""
    exchanges: list[Exchange] = []
    question = ""
    for message in messages:
        if message.role == "user":
            question = message.text()
        elif message.role == "assistant" and question:
            exchanges.append(Exchange(question, message.text()))
            question = ""
    return tuple(exchanges)


async def _chunks(
    events: AsyncIterator[AnswerEvent], head: Mapping[str, object], mode: Mode, *, usage: bool
) -> AsyncGenerator[bytes]:
    def chunk(delta: Mapping[str, str], finish: str | None = None, **extras: object) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        told = {**head, "object": "chat.completion.chunk", "choices": [choice], **extras}
        return b"data: " + to_json(told) + b"\n\n"

    wrote = False
    async with aclosing(events) as coming:  # type: ignore[type-var]
        async for told in coming:
            match told:
                case AnswerText(text):
                    if not wrote:
                        yield chunk({"role": "assistant", "content": ""})
                    wrote = True
                    yield chunk({"content": text})
                case Answered(answer):
                    if not wrote:
                        yield chunk({"role": "assistant", "content": answer.text})
                    yield chunk({}, _finish(answer), **_extras(answer, mode))
                    if usage:
                        last = {**head, "object": "chat.completion.chunk", "choices": []}
                        yield b"data: " + to_json({**last, "usage": _usage(answer)}) + b"\n\n"
    yield _DONE


def _extras(answer: Answer, mode: Mode) -> dict[str, object]:
    shape = answer_shape(answer, mode, None, None)
    told = {"kind": shape.kind, "confidence": shape.confidence, "notice": shape.notice, "text": shape.text}
    return {"citations": shape.citations, "dossier": told}


def _finish(answer: Answer) -> str:
    return "stop" if answer.complete else "length"


def _usage(answer: Answer) -> dict[str, int]:
    taken = answer.receipt.prompt_tokens, answer.receipt.completion_tokens
    return {"prompt_tokens": taken[0], "completion_tokens": taken[1], "total_tokens": sum(taken)}
