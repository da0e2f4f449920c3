"""The in-process cache layer."""

from __future__ import annotations

from collections.abc import Callable

from engine.caching.memory import MemoryLayer


def layer(*, maxsize: int = 10, max_bytes: int = 1000) -> MemoryLayer[str]:
    return MemoryLayer(maxsize=maxsize, max_bytes=max_bytes, size=len)


def test_entries_are_bounded_and_the_least_used_goes_first() -> None:
    memory = layer(maxsize=3)
    for key in "abc":
        memory.set(key, key, 60)
    assert memory.get("a") == "a"
    memory.set("d", "d", 60)
    assert [memory.get(key) for key in "abcd"] == ["a", None, "c", "d"]
    assert memory.counts.evictions == 1


def test_bytes_are_bounded_whatever_the_number_of_entries() -> None:
    memory = layer(max_bytes=1000)
    for key in range(10):
        memory.set(key, "x" * 200, 60)
    assert memory.usage().bytes <= 1000
    assert memory.usage().entries == 5
    memory.set("large", "x" * 900, 60)  # would drive out all others
    assert memory.get("large") is None
    assert memory.usage().entries == 5


def test_an_entry_ends_with_its_life() -> None:
    memory = layer()
    memory.set("gone", "x", -1)
    memory.set("here", "x", 60)
    assert memory.get("gone") is None
    assert memory.get("here") == "x"


def test_look_ups_are_counted() -> None:
    memory = layer()
    memory.set("a", "x", 60)
    for key in "aab":
        memory.get(key)
    assert (memory.counts.hits, memory.counts.misses) == (2, 1)
    assert round(memory.counts.hit_rate, 2) == 0.67
    assert sum(memory.counts.latencies) == 3


def test_no_room_keeps_nothing() -> None:
    memory = layer(maxsize=0)
    memory.set("a", "x", 60)
    assert memory.get("a") is None


def test_what_entries_have_in_common_is_held_once_and_goes_with_the_last_of_them() -> None:
    def shared(value: tuple[str, ...], one: Callable[[str], str]) -> tuple[str, ...]:
        return tuple(map(one, value))

    memory: MemoryLayer[tuple[str, ...]] = MemoryLayer(
        maxsize=3, max_bytes=1000, size=lambda _: 10, share=shared, part_size=len
    )
    text = "x" * 150
    for key in "abc":
        memory.set(key, (text[:100] + text[100:], key * 20), 60)  # equal, and another object each time
    first, second = memory.get("a"), memory.get("b")
    assert first is not None and second is not None and first[0] is second[0]
    assert memory.usage().bytes == 3 * 10 + 150 + 3 * 20
    memory.set("a", ("y",), 60)
    assert memory.usage().bytes == 3 * 10 + 150 + 2 * 20 + 1
    memory.set("d", ("z" * 230,), 60)  # in the place of "c"
    assert memory.get("c") is None
    assert memory.usage().bytes == 3 * 10 + 150 + 20 + 1 + 230
    for key in "efg":
        memory.set(key, (key * 200,), 60)
    assert memory.usage().bytes == 3 * 210
    memory.set("large", (text, text + "y"), 60)
    assert memory.get("large") is None
    memory.clear()
    assert memory.usage().bytes == 0
