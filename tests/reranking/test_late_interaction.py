from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.reranking.late_interaction import (
    gather_tokens,
    interaction_units,
    late_interaction_scores,
    likeness,
    token_weights,
)
from engine.reranking.packed_tokens import decode_tokens, encode_tokens
from engine.retrieval.embedders.base import TokenEmbeddings


def _tokens(count: int, *, dimension: int = 384, seed: int = 0, step: int = 5) -> TokenEmbeddings:
    """Vectors that lean to one side, as those of real embedders do."""
    draw = np.random.default_rng(seed)
    vectors = (draw.normal(size=(count, dimension)) + 2 * draw.normal(size=dimension)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    starts = np.arange(count, dtype=np.int32)[:, None] * step
    return TokenEmbeddings(vectors, starts + np.array([[0, 4]], np.int32))


@pytest.mark.parametrize(("count", "dimension"), [(200, 384), (1, 384), (7, 5), (0, 384), (0, 0)])
def test_packed_tokens_come_back(count: int, dimension: int) -> None:
    tokens = _tokens(count, dimension=dimension)
    back = decode_tokens(encode_tokens(tokens))
    vectors = back.similar(np.eye(dimension, dtype=np.float32))
    assert vectors.dtype == np.float32
    assert vectors.shape == tokens.vectors.shape
    assert np.array_equal(back.spans, tokens.spans)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    assert (np.sum(vectors * tokens.vectors, axis=1) > 0.99).all()
    assert len(back) == count
    if count:
        assert np.allclose(back.centre(), vectors.mean(axis=0), atol=1e-5)
    else:
        assert len(back.centre()) == 0


def test_packed_tokens_are_small() -> None:
    assert len(encode_tokens(_tokens(120))) < 25_000


def test_offsets_beyond_two_bytes_survive() -> None:
    tokens = _tokens(10, step=9_000)
    assert np.array_equal(decode_tokens(encode_tokens(tokens)).spans, tokens.spans)


@pytest.mark.parametrize(
    "damage", [lambda b: b[:5], lambda b: b[:-1], lambda b: b + b"x", lambda b: b"\xff" + b[1:]]
)
def test_other_bytes_are_refused(damage: object) -> None:
    with pytest.raises(ValueError, match="Packed token vectors"):
        decode_tokens(damage(encode_tokens(_tokens(3))))  # type: ignore[operator]


def test_scores_are_the_mean_of_the_nearest_similarities() -> None:
    question = _tokens(9, seed=1)
    passages = [_tokens(40, seed=2), _tokens(0), _tokens(1, seed=3), _tokens(75, seed=4)]
    expected = [
        float((question.vectors @ p.vectors.T).max(axis=1).mean()) if len(p.vectors) else -1.0
        for p in passages
    ]
    assert np.allclose(late_interaction_scores(question, passages), expected, atol=1e-6)


def test_nothing_to_compare_is_no_error() -> None:
    assert late_interaction_scores(_tokens(3), []).shape == (0,)
    assert late_interaction_scores(_tokens(0), [_tokens(3)]).tolist() == [-1.0]


def test_rare_words_count_more() -> None:
    question = TokenEmbeddings(np.eye(3, dtype=np.float32), np.array([[0, 3], [4, 7], [8, 13]]))
    weights = token_weights("Why did Tesla", question.spans, {"tesla": 5.0})
    assert weights.tolist() == [1.0, 1.0, 6.0]
    about_tesla, about_why = (
        TokenEmbeddings(question.vectors[keep], question.spans[keep]) for keep in ([2], [0, 1])
    )
    scores = late_interaction_scores(question, [about_tesla, about_why], weights)
    assert np.allclose(scores, [6 / 8, 2 / 8])


def test_a_question_without_marks_finds_the_rarity_of_marked_words() -> None:
    question = "thoi gian chuan bi ho so du thau"
    spans = np.array([[25, 27], [28, 32]])
    assert token_weights(question, spans, {"du": 1.0, "thau": 3.0}).tolist() == [2.0, 4.0]


def test_units_cover_the_sentences_in_order_and_join_short_ones() -> None:
    text = "Short one. Another short one. " + "A much longer sentence " * 20 + ". Last."
    units = interaction_units(text)
    assert text[slice(*units[0])] == "Short one. Another short one."
    assert [start for start, _ in units] == sorted(start for start, _ in units)
    covered = "".join(text[start:end] for start, end in units)
    assert covered.replace(" ", "") == text.replace(" ", "")


def test_pieces_of_a_word_become_one_vector_and_punctuation_none() -> None:
    text = "Đấu thầu, rồi. Xong!"
    first = TokenEmbeddings(
        np.eye(6, 8, dtype=np.float32), np.array([[0, 2], [2, 3], [4, 8], [8, 9], [10, 13], [13, 14]])
    )
    second = TokenEmbeddings(np.eye(2, 8, k=6, dtype=np.float32), np.array([[0, 4], [4, 5]]))
    gathered = gather_tokens(text, [(0, 14), (15, 20)], [first, second])
    assert [text[start:end] for start, end in gathered.spans.tolist()] == ["Đấu", "thầu", "rồi", "Xong"]
    assert np.allclose(gathered.vectors[0, :2], 2**-0.5)
    assert np.allclose(np.linalg.norm(gathered.vectors, axis=1), 1.0)


def test_a_text_without_words_gathers_nothing() -> None:
    dots = TokenEmbeddings(np.eye(1, 8, dtype=np.float32), np.array([[0, 3]]))
    assert len(gather_tokens("...", [(0, 3)], [dots]).vectors) == 0
    assert len(gather_tokens("", [], []).vectors) == 0


def _words(*vectors: NDArray[np.float32]) -> TokenEmbeddings:
    spans = np.array([[5 * n, 5 * n + 4] for n in range(len(vectors))], np.int32).reshape(-1, 2)
    return TokenEmbeddings(np.array(vectors, np.float32).reshape(len(vectors), -1 if vectors else 3), spans)


def test_words_side_by_side_count_more_than_words_apart() -> None:
    first, second, other = np.eye(3, dtype=np.float32)
    question = _words(first, second)
    together, apart = _words(first, second, other, other), _words(first, other, other, second)
    alone = late_interaction_scores(question, [together, apart])
    assert alone[0] == alone[1]
    paired = late_interaction_scores(question, [together, apart], pairs=0.5)
    assert paired[0] > paired[1]


def test_the_last_word_of_one_passage_is_no_neighbour_of_the_next_ones_first() -> None:
    first, second = np.eye(2, dtype=np.float32)
    question = _words(first, second)
    passages = [_words(first), _words(second), _words(first)]
    together = late_interaction_scores(question, passages, pairs=1.0)
    apart = [float(late_interaction_scores(question, [passage], pairs=1.0)[0]) for passage in passages]
    assert together.tolist() == pytest.approx(apart)


def test_likeness_is_shared_among_the_like() -> None:
    red, green, blue = np.eye(3, dtype=np.float32)
    alike = likeness([_words(red, red), _words(red, green), _words(blue), _words()])
    assert alike[0].argmax() == 1
    assert alike[0, 0] == 0
    assert alike.sum(axis=1)[:2] == pytest.approx([1, 1])
