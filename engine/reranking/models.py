"""The models of rerankers that run in this process: loaded, waited for, loaded anew."""

from __future__ import annotations

from collections.abc import Mapping

from engine.errors import BadInput
from engine.reranking.base import Reranker, RerankerState
from engine.reranking.local import LocalReranker, own_model, settled


class RerankerModels:
    """By the reranker's name. The cascade's model is that of its strong reranker."""

    def __init__(self, rerankers: Mapping[str, Reranker | None], aliases: Mapping[str, str]) -> None:
        """aliases: rerankers that use another one's model."""
        self._rerankers = rerankers
        self._aliases = aliases

    def load(self, name: str) -> None:
        """Begin to load it in the background, where there is one and that has not begun."""
        if (model := self._find(name)) is not None:
            model.load()

    async def loaded(self, name: str) -> RerankerState:
        """Load it, and what reads near ties again for it, and wait for that: measurements do.

        Questions need not. Raises BadInput.
        """
        if name not in self._rerankers:
            raise BadInput(f"There is no reranker “{name}”.")
        reranker = self._rerankers[name]
        await settled(self._rerankers.get(self._aliases.get(name, name)))
        return reranker.state() if reranker else RerankerState()

    async def reload(self, name: str) -> None:
        """Load it anew, as it now is on disk; returns when that has begun.

        The reranker's state tells how it goes; the built-in one serves meanwhile. Raises BadInput
        for a reranker without a model in this process.
        """
        model = self._find(name)
        if model is None:
            raise BadInput(f"The reranker “{name}” has no model of its own here to be loaded.")
        await model.reload()

    def names(self) -> tuple[str, ...]:
        """Those with a model of their own."""
        return tuple(name for name in self._rerankers if name not in self._aliases and self._find(name))

    def _find(self, name: str) -> LocalReranker | None:
        if name not in self._rerankers:
            raise BadInput(f"There is no reranker “{name}”.")
        return own_model(self._rerankers.get(self._aliases.get(name, name)))
