"""How alike two orders of the same passages are."""

from __future__ import annotations

from collections.abc import Sequence

_PERSISTENCE = 0.9


def overlap(a: Sequence[int], b: Sequence[int], depth: int = 5) -> float:
    """Share of the first `depth` that both have, in [0, 1]; 1 for two empty lists."""
    first, second = set(a[:depth]), set(b[:depth])
    longest = max(len(first), len(second))
    return len(first & second) / longest if longest else 1.0


def kendall_tau(a: Sequence[int], b: Sequence[int], depth: int = 10) -> float:
    """Kendall's tau over the first `depth` of either, in [-1, 1]; 1 where there is no pair.

    What one list lacks counts as behind its end.
    """
    considered = list(dict.fromkeys([*a[:depth], *b[:depth]]))
    in_a, in_b = ({item: place for place, item in enumerate(given)} for given in (a, b))
    agreeing = pairs = 0
    for position, x in enumerate(considered):
        for y in considered[position + 1 :]:
            left = in_a.get(x, len(a)) - in_a.get(y, len(a))
            right = in_b.get(x, len(b)) - in_b.get(y, len(b))
            agreeing += (left * right > 0) - (left * right < 0)
            pairs += 1
    return agreeing / pairs if pairs else 1.0


def rank_biased_overlap(a: Sequence[int], b: Sequence[int], depth: int = 10) -> float:
    """Agreement of the first `depth`, the first places counting most, in [0, 1].

    Webber, Moffat & Zobel 2010, A similarity measure for indefinite rankings: equation 32, with
    p = 0.9 and what is beyond `depth` taken to agree as much as what is before it.
    """
    depth = min(depth, max(len(a), len(b)))
    if not depth:
        return 1.0
    total = agreement = 0.0
    for at in range(1, depth + 1):
        agreement = len(set(a[:at]) & set(b[:at])) / at
        total += _PERSISTENCE ** (at - 1) * agreement
    return (1 - _PERSISTENCE) * total + _PERSISTENCE**depth * agreement
