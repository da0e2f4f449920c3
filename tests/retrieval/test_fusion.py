from __future__ import annotations

import pytest

from engine.retrieval.fusion import fuse


def _best(scores: dict[int, float]) -> int:
    return max(scores, key=lambda i: scores[i])


def test_every_candidate_of_either_side_gets_a_score_between_0_and_1() -> None:
    fused = fuse({1: 9.0, 2: 5.0, 3: 1.0}, {2: 0.9, 3: 0.85, 4: 0.8})
    assert set(fused) == {1, 2, 3, 4}
    assert max(fused.values()) == 1.0
    assert min(fused.values()) == 0.0


def test_what_both_sides_like_comes_first() -> None:
    assert _best(fuse({1: 9.0, 2: 8.5, 3: 1.0}, {2: 0.90, 1: 0.80, 3: 0.79})) == 2


@pytest.mark.parametrize(
    ("lexical", "dense", "order"),
    [
        ({}, {7: 0.8, 8: 0.9}, [8, 7]),
        ({7: 2.0, 8: 3.0}, {}, [8, 7]),
        ({7: 2.0}, {}, [7]),
        ({}, {7: 0.5}, [7]),
        ({}, {}, []),
    ],
)
def test_an_empty_side_leaves_the_other_its_order(
    lexical: dict[int, float], dense: dict[int, float], order: list[int]
) -> None:
    fused = fuse(lexical, dense)
    assert sorted(fused, key=lambda i: -fused[i]) == order


def test_equal_scores_are_no_error() -> None:
    assert fuse({1: 2.0, 2: 2.0}, {1: 0.9, 2: 0.9}) == {1: 1.0, 2: 1.0}


def test_a_candidate_that_one_side_missed_is_not_preferred_to_one_that_it_found() -> None:
    fused = fuse({1: 4.0, 2: 4.0}, {1: 0.9, 3: 0.8})
    assert fused[1] > fused[2]


@pytest.mark.parametrize("how", [{"undiacritic": True}, {"readable": False}])
def test_words_decide_where_the_embedder_cannot_read_the_question(how: dict[str, bool]) -> None:
    lexical = {1: 9.0, 2: 6.0, 3: 5.0}
    dense = {1: 0.80, 2: 0.86, 3: 0.90}
    assert _best(fuse(lexical, dense)) != 1
    assert _best(fuse(lexical, dense, **how)) == 1


def test_one_lone_lexical_hit_does_not_drown_a_hundred_vectors() -> None:
    dense = {i: 0.95 - i / 1000 for i in range(100)}
    fused = fuse({99: 1.0}, dense)
    assert fused[0] > 0.3


def test_a_chance_hit_of_a_question_whose_words_hardly_occur_does_not_decide() -> None:
    lexical = {1: 0.5}
    dense = {1: 0.86, 2: 0.80, 3: 0.90}
    assert _best(fuse(lexical, dense)) == 1
    assert _best(fuse(lexical, dense, worth=50.0)) == 3


def test_words_that_occur_count_in_full() -> None:
    lexical = {1: 0.5}
    dense = {1: 0.86, 2: 0.80, 3: 0.90}
    assert fuse(lexical, dense, worth=3.0) == fuse(lexical, dense)
    assert fuse(lexical, dense, worth=50.0, undiacritic=True) == fuse(lexical, dense, undiacritic=True)


def test_words_alone_keep_their_order_however_few_occur() -> None:
    fused = fuse({7: 0.2, 8: 0.3}, {}, worth=500.0)
    assert fused == {7: 0.0, 8: 1.0}


def test_words_compare_passages_of_one_language_only() -> None:
    own, others = range(60), range(60, 90)
    lexical = {i: 2 + 6 * 0.9**i for i in own}
    dense = {i: 0.77 + i % 10 / 100 for i in own} | dict.fromkeys(others, 0.77) | {60: 0.82}
    languages = dict.fromkeys(own, "en") | dict.fromkeys(others, "vi")
    together = fuse(lexical, dense)
    assert together[60] < together[24]  # it holds none of the question's words, nor could it
    apart = fuse(lexical, dense, languages=languages)
    assert apart[4] > apart[60] > apart[24] > apart[54]
