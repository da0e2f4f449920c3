"""A small corpus, and rerankers of every kind: none, built-in, and two behind servers."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest

from engine.documents.jobs import Upload
from engine.engine import Engine
from tests.conftest import OpenEngine
from tests.openai_server import OpenAIServer, Reply
from tests.rerank_server import RerankServer

TOPICS = {
    "meals": "Meals abroad are refunded up to 45 euros a day.",
    "trains": "Trains are booked in second class by the travel desk.",
    "hotels": "Hotels cost at most 150 euros a night, breakfast included.",
    "security": "Mức bảo đảm dự thầu là 2% giá gói thầu.",
    "council": "Hội đồng xét thầu có năm thành viên do giám đốc chỉ định.",
    "gate": "The gate closes at eight in the evening.",
    "parking": "Parking places are given out every January by lot.",
    "library": "Books are lent for four weeks and can be renewed twice.",
}
QUESTIONS = {
    "How much is refunded for meals abroad?": "meals",
    "In which class are trains booked?": "trains",
    "Mức bảo đảm dự thầu là bao nhiêu?": "security",
    "When does the gate close?": "gate",
}


def documents() -> list[Upload]:
    return [
        Upload(f"{name}.md", f"# {name.capitalize()}\n\nPassage {n} of the handbook. {text}\n".encode())
        for n, (name, text) in enumerate(TOPICS.items())
    ]


async def stock(engine: Engine) -> None:
    job = await engine.ingestion.submit(documents())
    await engine.ingestion.wait(job.id)


def jsonl(rows: Sequence[object]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def packed(**files: bytes) -> dict[str, bytes]:
    """An upload of one zip: ``packed(queries=…, qrels=…, corpus=…)``."""
    names = {"corpus": "corpus.jsonl", "queries": "queries.jsonl", "qrels": "qrels.tsv"}
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, body in files.items():
            file.writestr(f"set/{names[name]}", body)
    return {"set.zip": content.getvalue()}


def questions_on_documents() -> dict[str, bytes]:
    """A set about the small corpus: four answerable questions, two that nothing answers."""
    queries: list[dict[str, object]] = [
        {"id": f"q{n}", "text": text, "answerable": True} for n, text in enumerate(QUESTIONS)
    ]
    queries += [
        {"id": "u1", "text": "Who won the chess championship?", "answerable": False},
        {"id": "u2", "text": "What is the boiling point of tungsten?", "answerable": False},
    ]
    judged = "".join(f"q{n}\t{name}.md\t1\n" for n, name in enumerate(QUESTIONS.values()))
    return {"queries.jsonl": jsonl(queries), "qrels.tsv": f"query-id\tdoc-id\tscore\n{judged}".encode()}


@pytest.fixture(scope="package")
def rerank_server() -> Iterator[RerankServer]:
    with RerankServer() as server:
        yield server


@pytest.fixture(scope="package")
def language_model() -> Iterator[OpenAIServer]:
    """Gives every passage the same grade."""
    with OpenAIServer() as server:
        server.default = Reply('{"score": 5}')
        yield server


@pytest.fixture(autouse=True)
def _fresh_servers(rerank_server: RerankServer) -> None:
    rerank_server.reset()


@pytest.fixture(scope="module")
async def engine(open_test_engine: OpenEngine, rerank_server: RerankServer) -> AsyncIterator[Engine]:
    """Stocked. For tests that leave the rerank server alive: one that failed is not asked for a while."""
    async with open_test_engine(reranker_url=rerank_server.address) as opened:
        await stock(opened)
        yield opened


@pytest.fixture
async def own_engine(open_test_engine: OpenEngine, rerank_server: RerankServer) -> AsyncIterator[Engine]:
    """Stocked, for one test; the remote reranker is its challenger."""
    async with open_test_engine(
        reranker_url=rerank_server.address, challenger_reranker="remote", challenger_share=1.0
    ) as opened:
        await stock(opened)
        yield opened
