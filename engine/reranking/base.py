"""What a reranker is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from engine.documents.model import Passage
from engine.reranking.combination import Support

if TYPE_CHECKING:
    from engine.reranking.local import LocalReranker

Status = Literal["ready", "idle", "loading", "failed"]
BUILT_IN = "built-in"  # needs no model of its own, and stands in for others


@dataclass(frozen=True, slots=True)
class Scores:
    """What a reranker says of passages, in their order.

    values: higher is better, any scale; None where it could not tell (a deadline that passed, a
        request that failed): such a passage keeps its place.
    scale, support: how they join the retrieval's scores; see `added`.
    second: reads the first few again where they are nearly level; see `read_again`.
    served_by: name of the reranker that made them; another one may have stood in.
    notice: a sentence for the reader where this is not all that was asked for; usually empty.
    prompt_tokens, completion_tokens: of a language model. cost_usd: nothing for a model of
        one's own, None where no price is known.
    """

    values: tuple[float | None, ...]
    scale: float
    served_by: str
    notice: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = 0.0
    support: Support | None = None
    second: LocalReranker | None = None


@dataclass(frozen=True, slots=True)
class RerankerState:
    """Whether a reranker can serve now.

    status: ``idle`` is not loaded yet, and loads at its first use. why: what it waits for or
        what failed, and what to do. waiting: passages in its queue. memory_bytes: of its model,
        None where it has none of its own. served_by: who stands in until it is ready.
    """

    status: Status = "ready"
    why: str = ""
    waiting: int = 0
    memory_bytes: int | None = None
    served_by: str = ""


class Reranker(Protocol):
    """Scores passages for a question. Safe to call from many tasks at once.

    name: registry name. depth: how many of the best candidates it is worth being given now.
    """

    name: str

    @property
    def depth(self) -> int: ...

    async def score(self, question: str, passages: Sequence[Passage]) -> Scores:
        """One score a passage, in order; none for none. Never invents one.

        Raises ModelUnavailable or Unavailable where it cannot score any.
        """
        ...

    def state(self) -> RerankerState: ...

    async def aclose(self) -> None: ...
