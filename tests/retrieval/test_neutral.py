"""Documents in two languages: a question finds what answers it, in whichever it stands."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from engine.documents.model import DocumentFilter, PassageDraft
from engine.engine import Engine
from engine.errors import Unavailable
from engine.retrieval.embedders.base import Embedding
from engine.retrieval.neutral import LanguageNeutral
from engine.retrieval.parallel_texts import PARALLEL
from tests.conftest import OpenEngine

pytestmark = pytest.mark.anyio

ENGLISH = {
    "library": "The library lends books for four weeks. Whoever returns a book late pays fifty cents a day.",
    "pump": "If the pump overheats, close the inlet valve and wait ten minutes before starting it again.",
    "tower": "The tower was built in 1642 by the Dutch merchant Pieter Block and is 58 metres high.",
    "leave": "Staff may take twelve days of paid leave a year; requests go to the head of department.",
}
VIETNAMESE = {
    "bến": "Bến phà hoạt động từ năm giờ sáng đến mười giờ đêm. Vé cho một xe máy là tám nghìn đồng.",
    "chợ": "Chợ nổi họp từ lúc tờ mờ sáng; người bán treo hàng hóa lên một cây sào cao trước mũi thuyền.",
    "lúa": "Nông dân gieo lúa vào tháng mười một và thu hoạch sau chín mươi lăm ngày, nếu nước không mặn.",
    "trường": "Trường nhận học sinh từ sáu tuổi. Học phí hai trăm nghìn đồng một tháng, nộp trước ngày mười.",
    "máy": "Máy bơm của trạm được mua năm 2015 và bơm nước cho toàn bộ cánh đồng phía nam của xã.",
    "sách": "Sách giáo khoa mới được phát cho học sinh vào tuần đầu tiên của năm học.",
    "nghỉ": "Các em học sinh nghỉ hè từ đầu tháng sáu đến giữa tháng tám hằng năm.",
    "tháp": "Ngôi chùa được xây năm 1820; trong sân có một cây bồ đề hơn hai trăm tuổi.",
}
TEXTS = ENGLISH | VIETNAMESE
ASKED = {
    "library": "Trả sách thư viện muộn thì phải trả bao nhiêu tiền mỗi ngày?",
    "pump": "Phải làm gì khi máy bơm quá nóng?",
    "tower": "Ai đã xây ngọn tháp cao 58 mét?",
    "leave": "Nhân viên được nghỉ phép có lương bao nhiêu ngày một năm?",
    "bến": "What does a ferry ticket for a motorbike cost?",
    "chợ": "How do sellers on the floating market show what they sell?",
    "lúa": "How many days after sowing is the rice harvested?",
    "trường": "By which day of the month must school fees be paid?",
}


def _whole(texts: dict[str, str]) -> list[tuple[str, str, Sequence[PassageDraft]]]:
    return [(name, "", [PassageDraft(0, text, "", 0, len(text))]) for name, text in texts.items()]


@pytest.fixture
async def bilingual(open_test_engine: OpenEngine) -> AsyncIterator[Engine]:
    async with open_test_engine() as engine:
        await engine.ingestion.ingest_passages(_whole(TEXTS))
        yield engine


async def test_what_answers_comes_first_whatever_its_language(bilingual: Engine) -> None:
    found = {name: (await bilingual.search(asked))[0].passage.text for name, asked in ASKED.items()}
    assert found == {name: TEXTS[name] for name in ASKED}


@pytest.mark.parametrize("name", ["library", "pump", "tower", "trường"])
async def test_it_is_quoted_and_not_refused(bilingual: Engine, name: str) -> None:
    answer = await bilingual.ask(ASKED[name])
    assert answer.kind == "quotes"
    assert answer.citations[0].quote in TEXTS[name]


async def test_an_embedder_that_fails_at_it_leaves_the_search_as_it_was(
    bilingual: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: LanguageNeutral, vector: object) -> None:
        raise Unavailable("The embedder does not answer.")

    question = "When is the rice harvested after sowing?"
    with monkeypatch.context() as failing:
        failing.setattr(LanguageNeutral, "freed", fail)
        answer = await bilingual.ask(question)
        assert "Searched in the question's language first: The embedder does not answer." in answer.notice
    assert not (await bilingual.ask(question)).notice, "what was found meanwhile is not kept"
    monkeypatch.setattr(LanguageNeutral, "freed", fail)
    [first, *_] = await bilingual.search(question, pipeline="dense")
    own = await bilingual.embed_question(question)
    async with bilingual.database.read() as db:
        told = await bilingual.vectors.similarities(db, own.vector, [first.passage.id])
    assert first.dense == told[first.passage.id]


async def test_a_filter_by_language_leaves_the_others_out(bilingual: Engine) -> None:
    found = await bilingual.search(ASKED["tower"], filter=DocumentFilter(languages=("vi",)))
    assert {candidate.passage.language for candidate in found} == {"vi"}


async def test_documents_in_the_questions_language_alone_are_searched_by_its_own_vector(
    open_test_engine: OpenEngine,
) -> None:
    async with open_test_engine() as engine:
        await engine.ingestion.ingest_passages(_whole(ENGLISH))
        question = "Who built the tower?"
        asked = await engine.embed_question(question)
        [told] = await engine.search(question, pipeline="dense", k=1)
        async with engine.database.read() as db:
            own = await engine.vectors.similarities(db, asked.vector, [told.passage.id])
        assert told.dense == own[told.passage.id]


class Broken:
    """An embedder that is down."""

    name, dimension, token_dimension = "broken", 2, 0

    async def embed_query(self, text: str) -> Embedding:
        raise Unavailable("down")

    async def embed_passages(self, texts: Sequence[str]) -> list[Embedding]:
        raise Unavailable("down")

    async def aclose(self) -> None: ...


class Leaning(Broken):
    """Its second number tells the language, and nothing else."""

    async def embed_passages(self, texts: Sequence[str]) -> list[Embedding]:
        lean = 0.6 if texts[0] in PARALLEL["en"] else -0.6
        return [Embedding(np.array([0.8, lean], np.float32)) for _ in texts]


async def test_the_direction_of_the_language_is_taken_out() -> None:
    freed = await LanguageNeutral(Leaning()).freed(np.array([0.6, 0.8], np.float32))
    assert freed == pytest.approx([1.0, 0.0])


async def test_an_embedder_that_is_down_says_so() -> None:
    with pytest.raises(Unavailable):
        await LanguageNeutral(Broken()).freed(np.array([1.0, 0.0], np.float32))


def test_it_applies_where_documents_are_in_another_language() -> None:
    assert LanguageNeutral.applies("vi", frozenset({"en", "vi"}))
    assert LanguageNeutral.applies("vi", frozenset({"en"}))
    assert not LanguageNeutral.applies("vi", frozenset({"vi", "und", "fr"}))
    assert not LanguageNeutral.applies("fr", frozenset({"en", "vi"}))


def test_the_parallel_texts_are_parallel() -> None:
    assert len({len(texts) for texts in PARALLEL.values()}) == 1
