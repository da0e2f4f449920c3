"""Two users, three collections, and everything that the engine can show: a stateful property.

Each document holds a word of its own. Whatever either user does, in whatever order documents are
taken in, moved, deleted and restored, and members come and go: no word of a document that a user
may not read is ever in anything that the user is shown, and each finds the documents that they may.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from contextvars import copy_context
from functools import partial
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from engine.access.principal import SYSTEM, Principal, acting
from engine.documents.jobs import Upload
from engine.documents.queries import DocumentQuery
from engine.engine import Engine
from engine.errors import DossierError
from tests.conftest import OpenEngine

from .conftest import join

USERS = ("anna", "ben")
COLLECTIONS = ("Everyone", "Board", "Works council")
users, places = st.sampled_from(USERS), st.sampled_from(COLLECTIONS)
WORDS = [f"{a}{b}{c}umor" for a in "bdfgk" for b in "aeiou" for c in "lmnr"]


class TwoUsers(RuleBasedStateMachine):
    """What should be so, beside the engine that is asked."""

    run: Callable[[Awaitable[Any]], Any]
    engine: Engine
    people: dict[str, Principal]
    ids: dict[str, int]
    jobs: dict[str, set[Any]]
    sequence = 0  # goes on over all runs: a word is never used twice

    def __init__(self) -> None:
        super().__init__()
        self.members: dict[str, set[str]] = {"Board": {"anna"}, "Works council": {"ben"}}
        self.place: dict[int, str] = {}
        self.word: dict[int, str] = {}
        self.deleted: set[int] = set()
        self.passages: dict[int, Any] = {}
        self.sessions: dict[str, Any] = {}
        with acting(SYSTEM):
            for name, members in self.members.items():
                for user in USERS:
                    self.change(name, user, user in members)

    def change(self, name: str, user: str, joins: bool) -> None:
        with acting(SYSTEM):
            collections = self.engine.entrance.collections
            who = {"join" if joins else "leave": [user]}
            self.run(collections.change(self.ids[name], **who))

    def reads(self, user: str, document: int) -> bool:
        place = self.place[document]
        return place == "Everyone" or user in self.members[place]

    def hidden(self, user: str) -> list[str]:
        return [self.word[i] for i in self.word if not self.reads(user, i)]

    def shown(self, user: str, told: object) -> None:
        """Nothing hidden is in what a user is shown."""
        seen = repr(told)
        for word in self.hidden(user):
            assert word not in seen, (user, word)

    def do(self, user: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """As that user; what is refused is shown too."""
        with acting(self.people[user]):
            try:
                told = self.run(work())
            except DossierError as error:
                told = error.message + error.hint
        self.shown(user, told)
        return told

    @rule(user=users, place=places, same_name=st.booleans())
    def upload(self, user: str, place: str, same_name: bool) -> None:
        type(self).sequence += 1
        number = type(self).sequence
        word = f"{WORDS[number % len(WORDS)]}{number}"
        name = "report.md" if same_name else f"{word}.md"
        text = f"# Report on {word}\n\n## Fee of {word}\n\nThe fee of {word} is {number * 3 + 100} euros.\n"
        with acting(self.people[user]):
            try:
                job = self.run(
                    self.engine.ingestion.submit([Upload(name, text.encode())], collection_id=self.ids[place])
                )
            except DossierError:
                assert place != "Everyone" and user not in self.members[place]
                return
            self.jobs[user].add(job.id)
            file = self.run(self.engine.ingestion.wait(job.id)).files[0]
        assert file.document_id is not None, file
        assert place == "Everyone" or user in self.members[place]
        document = file.document_id
        self.place[document], self.word[document] = place, word
        self.deleted.discard(document)
        with acting(SYSTEM):
            self.passages[document] = self.run(self.engine.documents.passages(document))[0]

    @precondition(lambda self: self.word)
    @rule(user=users, data=st.data(), place=places)
    def move(self, user: str, data: st.DataObject, place: str) -> None:
        document = data.draw(st.sampled_from(sorted(self.word)))
        if self.do(user, lambda: self.engine.documents.move([document], self.ids[place])) == 1:
            assert self.reads(user, document)
            self.place[document] = place

    @precondition(lambda self: self.word)
    @rule(user=users, data=st.data(), back=st.booleans())
    def delete(self, user: str, data: st.DataObject, back: bool) -> None:
        document = data.draw(st.sampled_from(sorted(self.word)))
        store = self.engine.documents
        done = self.do(user, lambda: store.restore([document]) if back else store.delete([document]))
        assert not done or self.reads(user, document)
        if done:
            (self.deleted.discard if back else self.deleted.add)(document)

    @rule(user=users, place=st.sampled_from(COLLECTIONS[1:]), joins=st.booleans())
    def membership(self, user: str, place: str, joins: bool) -> None:
        (self.members[place].add if joins else self.members[place].discard)(user)
        self.change(place, user, joins)

    @precondition(lambda self: self.word)
    @rule(first=users, data=st.data())
    def both_ask(self, first: str, data: st.DataObject) -> None:
        """The same, one after the other: what was found for one is not what the other gets."""
        document = data.draw(st.sampled_from(sorted(self.word)))
        for user in sorted(USERS, key=lambda user: user != first):
            self.ask(user, document)

    def ask(self, user: str, document: int) -> None:
        word, engine = self.word[document], self.engine
        if user not in self.sessions:
            self.sessions[user] = self.do(user, lambda: engine.sessions.create("Questions"))
        session = self.sessions[user]
        # The asker knows the word: what comes back must not.
        with acting(self.people[user]):
            answer = self.run(engine.ask(f"What is the fee of {word}?", session_id=session.id))
            found = self.run(engine.search(f"fee of {word}", k=20))
        sources = {c.passage.document_id for c in (*answer.sources, *answer.citations, *found)}
        assert all(self.reads(user, i) and i not in self.deleted for i in sources)
        if self.reads(user, document) and document not in self.deleted:
            assert document in {c.passage.document_id for c in found}

    @precondition(lambda self: self.sessions)
    @rule(user=users, other=users)
    def share_and_read(self, user: str, other: str) -> None:
        if user not in self.sessions:
            return
        token = self.do(user, lambda: self.engine.sessions.share(self.sessions[user].id))
        with acting(self.people[other]):
            _, turns = self.run(self.engine.sessions.shared(token))
        for turn in turns:
            for source in turn.answer.sources:
                assert self.reads(other, source.passage.document_id)
            if not turn.answer.sources:
                assert turn.answer.citations == ()

    @precondition(lambda self: self.word)
    @rule(user=users, data=st.data())
    def look(self, user: str, data: st.DataObject) -> None:
        """By every id that can be guessed."""
        document = data.draw(st.sampled_from(sorted(self.word)))
        engine, passage = self.engine, self.passages[document]

        async def loaded() -> object:
            async with engine.database.read() as db:
                return await engine.documents.load_passages(db, [passage.id])

        for work in (
            lambda: engine.documents.get(document),
            lambda: engine.documents.passages(document),
            lambda: engine.documents.outline(document),
            lambda: engine.documents.file(document),
            lambda: engine.passage_context(passage.id),
            loaded,
        ):
            self.do(user, work)
        with acting(self.people[user]):  # what one has taken in oneself one knows
            jobs = self.run(engine.ingestion.jobs())
        assert {job.id for job in jobs} <= self.jobs[user]

    @invariant()
    def nothing_is_listed_counted_or_suggested(self) -> None:
        for user in USERS:
            store = self.engine.documents
            mine = {i for i in self.word if self.reads(user, i) and i not in self.deleted}
            listed = self.do(user, partial(store.list, DocumentQuery(limit=500)))
            assert {row.id for row in listed.rows} == mine and listed.total == len(mine)
            assert self.do(user, store.statistics).documents == len(mine)
            for work in (store.facets, self.engine.suggestions, partial(store.headings, 60)):
                self.do(user, work)
            if session := self.sessions.get(user):
                with acting(self.people[user]):
                    turns = self.run(self.engine.sessions.turns(session.id))
                for turn in turns:
                    assert all(self.reads(user, c.passage.document_id) for c in turn.answer.sources)

    def teardown(self) -> None:
        with acting(SYSTEM):
            self.run(self.engine.documents.delete(sorted(self.word)))
            self.run(self.engine._index.purge(0))


def test_neither_is_ever_shown_what_is_hidden_from_them(open_test_engine: OpenEngine) -> None:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def begin() -> None:
            engine = TwoUsers.engine = await stack.enter_async_context(
                open_test_engine(access_control=True, enable_semantic_cache=True)
            )
            TwoUsers.people = {user: await join(engine, user, "editor") for user in USERS}
            TwoUsers.ids = {"Everyone": 1}
            TwoUsers.jobs = {user: set() for user in USERS}
            with acting(SYSTEM):
                for name in COLLECTIONS[1:]:
                    TwoUsers.ids[name] = await engine.entrance.collections.create(name)

        async def awaited(work: Awaitable[Any]) -> Any:
            return await work

        try:
            runner.run(begin())
            TwoUsers.run = staticmethod(lambda work: runner.run(awaited(work), context=copy_context()))
            run_state_machine_as_test(
                TwoUsers,
                settings=settings(
                    max_examples=6,
                    stateful_step_count=12,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                    derandomize=True,
                    phases=[Phase.generate],  # a shorter example is not worth minutes
                ),
            )
        finally:
            runner.run(stack.aclose())
