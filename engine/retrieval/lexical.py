"""The lexical index: exact BM25 in SQL over a postings table.

BM25 after Robertson & Zaragoza 2009, with Lucene's inverse document frequency, which is
never negative. The postings live and die in the transaction of their document.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.retrieval.scope import Scope
from engine.storage.database import driver, fetch_rows, unhurried
from engine.storage.fixed import Fixed
from engine.text.analysis import QuestionTerms, fold_term

K1 = 1.2
B = 0.75

# Postings that a search reads in full. Beyond them the question's most frequent terms only
# complete the scores of what its rarer terms found.
POSTINGS_BUDGET = 40_000
COMPLETED = 500
COPIED_AT_ONCE = 1000  # postings; some milliseconds of the event loop

_SMALLINT = 32_767

# Inverse document frequencies that the question being asked has met: the search reads them, the
# reranker and the answer weigh the question's tokens by them.
_met: ContextVar[dict[QuestionTerms, dict[str, float]] | None] = ContextVar("rarity", default=None)


@dataclass(frozen=True, slots=True)
class WeightedTerms:
    """A question's terms as the index knows them.

    group: which of the question's terms each id stands for; several ids share a group when
        a term without diacritics matches all its marked forms.
    idf: of the group. frequency: passages that hold the group's terms, at most.
    worth: inverse document frequencies of all of the question's terms together, those that the
        index lacks among them: the BM25 score of a passage of mean length with each of them once.
    """

    ids: tuple[int, ...]
    groups: tuple[int, ...]
    idf: tuple[float, ...]
    frequency: tuple[int, ...]
    worth: float


async def add_postings(
    db: AsyncConnection, document_id: int, passages: Iterable[tuple[int, Sequence[str]]]
) -> int:
    """Index passages given as (passage id, terms). Returns how many terms they have together.

    The caller holds the corpus row locked, so that no two writers meet in the terms table.
    """
    counted = await asyncio.to_thread(_counted, passages)
    vocabulary = sorted(counted.frequency)
    rows = await db.execute(
        text(
            "INSERT INTO terms (term, folded, passage_count)"
            " SELECT * FROM unnest(CAST(:terms AS text[]), CAST(:folded AS text[]), CAST(:counts AS int[]))"
            " ON CONFLICT (term) DO UPDATE SET passage_count = terms.passage_count + EXCLUDED.passage_count"
            " RETURNING term, id"
        ),
        {
            "terms": vocabulary,
            "folded": [fold_term(term) for term in vocabulary],
            "counts": [counted.frequency[term] for term in vocabulary],
        },
    )
    ids = {term: term_id for term, term_id in rows}
    records = (
        (ids[term], passage_id, document_id, min(n, _SMALLINT), min(length, _SMALLINT))
        for passage_id, length, own in counted.passages
        for term, n in own.items()
    )
    await (await driver(db)).copy_records_to_table(
        "postings",
        records=unhurried(records, COPIED_AT_ONCE),
        columns=["term_id", "passage_id", "document_id", "frequency", "length"],
    )
    return sum(length for _, length, _ in counted.passages)


@dataclass(frozen=True, slots=True)
class _Counted:
    """passages: id, terms in all, and how often each. frequency: passages that hold a term."""

    passages: list[tuple[int, int, Counter[str]]]
    frequency: Counter[str]


def _counted(passages: Iterable[tuple[int, Sequence[str]]]) -> _Counted:
    counts = [(passage_id, len(terms), Counter(terms)) for passage_id, terms in passages]
    frequency: Counter[str] = Counter()
    for _, _, own in counts:
        frequency.update(own.keys())
    return _Counted(counts, frequency)


async def remove_postings(db: AsyncConnection, document_id: int) -> int:
    """Take a document's passages out of the index. Returns how many terms they had together."""
    removed = await db.execute(
        text(
            "WITH gone AS (DELETE FROM postings WHERE document_id = :id"
            "   RETURNING term_id, passage_id, length, frequency),"
            " counted AS (SELECT term_id, count(*) AS n FROM gone GROUP BY term_id),"
            " updated AS (UPDATE terms SET passage_count = passage_count - n FROM counted WHERE id = term_id)"
            " SELECT coalesce(sum(length), 0) FROM (SELECT DISTINCT passage_id, length FROM gone) AS lengths"
        ),
        {"id": document_id},
    )
    return int(removed.scalar_one())


@contextmanager
def one_question() -> Iterator[None]:
    """Within it, what `weigh` finds out is known to `met_rarity`; within another, it is the outer one's."""
    if _met.get() is not None:
        yield
        return
    token = _met.set({})
    try:
        yield
    finally:
        _met.reset(token)


def met_rarity(question: QuestionTerms) -> dict[str, float] | None:
    """As `rarity`, where this question's search has read it already."""
    met = _met.get()
    return None if met is None else met.get(question)


async def rarity(db: AsyncConnection, question: QuestionTerms, scope: Scope) -> dict[str, float]:
    """Inverse document frequency, among the scope's passages, of each of the question's terms."""
    return _rarity(await _look_up(db, question, scope), question, scope)


def _rarity(
    found: Mapping[str, Sequence[tuple[int, int]]], question: QuestionTerms, scope: Scope
) -> dict[str, float]:
    passages = scope.passages
    rare = {
        term: _idf(min(passages, sum(count for _, count in found.get(term, ()))), passages)
        for term in question.terms
    }
    if (met := _met.get()) is not None:
        met[question] = rare
    return rare


async def weigh(db: AsyncConnection, question: QuestionTerms, scope: Scope) -> WeightedTerms:
    """Look the question's terms up and weigh them by how rare they are among the scope's passages."""
    found = await _look_up(db, question, scope)
    rare = _rarity(found, question, scope)
    ids: list[int] = []
    groups: list[int] = []
    idf: list[float] = []
    frequency: list[int] = []
    for group, (term, variants) in enumerate(found.items()):
        in_passages = min(scope.passages, sum(count for _, count in variants))
        for term_id, _ in variants:
            ids.append(term_id)
            groups.append(group)
            idf.append(rare[term])
            frequency.append(in_passages)
    return WeightedTerms(tuple(ids), tuple(groups), tuple(idf), tuple(frequency), sum(rare.values()))


def _idf(in_passages: int, passages: int) -> float:
    return math.log(1 + (passages - in_passages + 0.5) / (in_passages + 0.5))


async def _look_up(
    db: AsyncConnection, question: QuestionTerms, scope: Scope
) -> dict[str, list[tuple[int, int]]]:
    """The question's terms that the index has: term → ids and passages of its forms."""
    values: dict[str, object] = {"terms": list(question.terms)}
    if scope.readable is not None:
        values["documents"] = list(scope.readable)
    rows = await fetch_rows(db, _known(question.fold, scope.readable is not None), values)
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for asked, term_id, count in rows:
        found[asked].append((term_id, count))
    return found


async def search(db: AsyncConnection, terms: WeightedTerms, scope: Scope, limit: int) -> dict[int, float]:
    """The `limit` passages with the highest BM25 score: passage id → score, best first."""
    if not terms.ids or scope.empty:
        return {}
    essential = _essential(terms)
    if len(essential.ids) == len(terms.ids):
        return await _scored(db, terms, scope, limit)
    found = await _scored(db, essential, scope, COMPLETED)
    complete = await scores(db, terms, scope, list(found))
    return dict(sorted(complete.items(), key=lambda item: -item[1])[:limit])


async def scores(
    db: AsyncConnection, terms: WeightedTerms, scope: Scope, passage_ids: Sequence[int]
) -> dict[int, float]:
    """BM25 scores of given passages; those without any of the terms are left out."""
    if not terms.ids or not passage_ids:
        return {}
    return await _scored(db, terms, scope, len(passage_ids), passage_ids)


def _essential(terms: WeightedTerms) -> WeightedTerms:
    """The rarest terms whose postings fit the budget; at least one."""
    order = sorted(range(len(terms.ids)), key=lambda i: terms.frequency[i])
    kept: list[int] = []
    spent = 0
    groups: set[int] = set()
    for i in order:
        if terms.groups[i] not in groups:
            spent += terms.frequency[i]
            if kept and spent > POSTINGS_BUDGET:
                break
            groups.add(terms.groups[i])
        kept.append(i)
    return WeightedTerms(
        ids=tuple(terms.ids[i] for i in kept),
        groups=tuple(terms.groups[i] for i in kept),
        idf=tuple(terms.idf[i] for i in kept),
        frequency=tuple(terms.frequency[i] for i in kept),
        worth=terms.worth,
    )


async def _scored(
    db: AsyncConnection,
    terms: WeightedTerms,
    scope: Scope,
    limit: int,
    passage_ids: Sequence[int] | None = None,
) -> dict[int, float]:
    where = ""
    values: dict[str, object] = {
        "ids": list(terms.ids),
        "groups": list(terms.groups),
        "idf": list(terms.idf),
        "mean_length": max(scope.mean_length, 1e-9),
        "limit": limit,
    }
    if passage_ids is not None:
        where = "WHERE passage_id = ANY(CAST(:passages AS int[]))"
        values["passages"] = list(passage_ids)
    elif scope.include is not None:
        where = "WHERE document_id = ANY(CAST(:documents AS int[]))"
        values["documents"] = list(scope.include)
    elif scope.exclude:
        where = "WHERE document_id <> ALL(CAST(:documents AS int[]))"
        values["documents"] = list(scope.exclude)
    several = len(set(terms.groups)) < len(terms.groups)
    rows = await fetch_rows(db, _bm25(where, several), values)
    return {passage_id: float(score) for passage_id, score in rows}


@cache
def _known(folded: bool, restricted: bool) -> Fixed:
    """Forms of terms with the passages that hold them; restricted: of some documents only."""
    column = "folded" if folded else "term"
    if not restricted:
        return Fixed(
            text(
                f"SELECT {column} AS asked, id, passage_count FROM terms"
                f" WHERE {column} = ANY(CAST(:terms AS text[])) AND passage_count > 0"
            )
        )
    return Fixed(
        text(
            f"SELECT terms.{column} AS asked, terms.id, count(*) AS passage_count FROM terms"
            " JOIN postings ON postings.term_id = terms.id"
            f" WHERE terms.{column} = ANY(CAST(:terms AS text[]))"
            " AND postings.document_id = ANY(CAST(:documents AS int[])) GROUP BY terms.id"
        )
    )


@cache
def _bm25(where: str, several: bool) -> Fixed:
    """The best passages. several: marked forms of one term count as one term that occurs that often."""
    found = f"SELECT passage_id, idf, frequency, length FROM asked JOIN postings USING (term_id) {where}"
    if several:
        found = (
            "SELECT passage_id, max(idf) AS idf, sum(frequency) AS frequency, max(length) AS length"
            f" FROM asked JOIN postings USING (term_id) {where} GROUP BY passage_id, term_group"
        )
    return Fixed(
        text(
            "WITH asked AS MATERIALIZED (SELECT * FROM unnest(CAST(:ids AS int[]), CAST(:groups AS int[]),"
            " CAST(:idf AS float8[])) AS t (term_id, term_group, idf))"
            " SELECT passage_id,"
            f" sum(idf * frequency * {K1 + 1} / (frequency + {K1} * ({1 - B} + {B} * length / :mean_length)))"
            f" AS score FROM ({found}) AS found GROUP BY passage_id"
            " ORDER BY score DESC, passage_id LIMIT :limit"
        )
    )
