"""Errors as problem details (RFC 9457), each from one place, none with a path, SQL or a secret."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.responses import Response

from engine.errors import (
    BadInput,
    Cancelled,
    DatabaseUnavailable,
    DossierError,
    Draining,
    LanguageModelUnavailable,
    ModelUnavailable,
    NotAllowed,
    NotFound,
    NotSignedIn,
    TooMany,
    Unavailable,
)

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5  # told to clients that meet something which comes back by itself


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one part of a request. pointer: where, as in `/body/question`."""

    pointer: str
    detail: str


@dataclass(frozen=True, slots=True)
class Problem:
    """What a client is told. kind: a stable name. title: of the kind. detail: of this case.

    hint: what to do. retry_after: seconds.
    """

    status: int
    kind: str
    title: str
    detail: str = ""
    hint: str = ""
    errors: tuple[FieldError, ...] = ()
    retry_after: int | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def members(self, path: str, request_id: str) -> dict[str, Any]:
        """The members of the JSON object; `/v1` has the member that OpenAI's clients read, too."""
        members: dict[str, Any] = {
            "type": f"urn:dossier:problem:{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail or self.title,
            "request_id": request_id,
        }
        if self.hint:
            members["hint"] = self.hint
        if self.errors:
            members["errors"] = self.errors
        if path.startswith("/v1"):
            told = f"{members['detail']} {self.hint}".rstrip()
            members["error"] = {"message": told, "type": self.kind, "param": None, "code": self.kind}
        return members

    def response(self, path: str, request_id: str) -> Response:
        """As an answer to a request."""
        headers = dict(self.headers)
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        body = to_json(self.members(path, request_id))
        return Response(body, self.status, headers, MEDIA_TYPE)


class Refused(HTTPException):
    """A request that is refused before the engine knows of it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.status)
        self.problem = problem


NOT_FOUND = Problem(404, "not-found", "There is nothing here.")
BAD_JSON = Problem(400, "malformed", "The request cannot be read.")
INVALID = Problem(422, "invalid", "The request is not valid.")
# The rest of it is not read: the connection ends.
TOO_LARGE = Problem(413, "too-large", "The request is too large.", headers=(("Connection", "close"),))
TIMED_OUT = Problem(
    504, "timeout", "This takes too long.", hint="Try again in a moment.", retry_after=RETRY_SECONDS
)
UNAUTHORISED = Problem(
    401,
    "unauthorised",
    "A key is needed.",
    hint="Send it as `Authorization: Bearer KEY`.",
    headers=(("WWW-Authenticate", "Bearer"),),
)
FORBIDDEN = Problem(403, "not-allowed", "This key may not do that.")
TOO_MANY = Problem(429, "too-many-requests", "Too many requests.")
BUSY = Problem(503, "busy", "Too many requests are under way.", retry_after=1)
FAULT = Problem(
    500, "fault", "Something went wrong here.", hint="The server's log has the details, by the request's id."
)

_TITLES = {
    400: ("malformed", "The request cannot be read."),
    404: ("not-found", "There is nothing here."),
    405: ("method-not-allowed", "This address does not take that method."),
    406: ("not-acceptable", "None of the media types asked for can be given."),
    413: ("too-large", "The request is too large."),
    415: ("media-type", "That media type is not taken here."),
}


def problem_of(error: Exception) -> Problem:
    """What a client is told of an error."""
    match error:
        case Refused():
            return error.problem
        case BadInput():
            return replace(INVALID, detail=error.message, hint=error.hint)
        case NotFound():
            return replace(NOT_FOUND, detail=error.message, hint=error.hint)
        case NotSignedIn():
            return UNAUTHORISED
        case NotAllowed():
            return replace(FORBIDDEN, detail=error.message, hint=error.hint)
        case TooMany():
            return replace(TOO_MANY, detail=error.message, hint=error.hint, retry_after=error.seconds)
        case Cancelled():
            return Problem(409, "cancelled", "It was stopped.", error.message, error.hint)
        case ModelUnavailable():  # its message may name a folder
            return _unavailable("A model that this needs cannot be used.", "The server's log says why.")
        case DatabaseUnavailable() | Draining():
            return _unavailable(error.message, error.hint)
        case LanguageModelUnavailable():
            return _unavailable("The language model does not answer.", "Try again in a moment.")
        case Unavailable():
            return _unavailable("Something that this needs does not answer.", "Try again in a moment.")
        case DossierError():
            return replace(FAULT, detail=error.message, hint=error.hint)
        case RequestValidationError():
            return _invalid(error)
        case HTTPException():
            kind, title = _TITLES.get(error.status_code, ("refused", "The request is refused."))
            headers = tuple((error.headers or {}).items())
            return Problem(error.status_code, kind, title, headers=headers)
        case _:
            return FAULT


def _unavailable(detail: str, hint: str) -> Problem:
    return Problem(503, "unavailable", "Not available just now.", detail, hint, retry_after=RETRY_SECONDS)


def _invalid(error: RequestValidationError) -> Problem:
    errors = error.errors()
    if any(found["type"] == "json_invalid" for found in errors):
        return replace(BAD_JSON, detail="The body is not JSON.")
    named = tuple(
        FieldError("/" + "/".join(str(part) for part in found["loc"]), found["msg"]) for found in errors[:20]
    )
    return replace(INVALID, detail="; ".join(f"{e.pointer}: {e.detail}" for e in named[:3]), errors=named)
