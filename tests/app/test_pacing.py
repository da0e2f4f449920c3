"""Pages run one at a time, and none of them for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from app.pacing import Pacing

SECONDS = 10.0


def begun(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_never_two_at_once_and_each_comes_to_its_end() -> None:
    pacing, running, most, ended = Pacing(), [0], [0], []
    lock = threading.Lock()

    def page(number: int) -> None:
        with pacing.turn():
            for _ in range(20):
                with lock:
                    running[0] += 1
                    most[0] = max(most[0], running[0])
                threading.Event().wait(0.0001)  # where another would come in
                with lock:
                    running[0] -= 1
                with pacing.waiting():
                    pass
        ended.append(number)

    for thread in [begun(lambda n=n: page(n)) for n in range(12)]:  # type: ignore[misc]
        thread.join(SECONDS)
    assert sorted(ended) == list(range(12))
    assert most == [1]


def test_a_page_that_waits_lets_another_run_and_goes_on_before_later_ones() -> None:
    pacing, order = Pacing(), []
    first_waits, answered, second_runs, go_on = (threading.Event() for _ in range(4))

    def first() -> None:
        with pacing.turn():
            with pacing.waiting():
                first_waits.set()
                assert answered.wait(SECONDS)
            order.append("first")

    def second() -> None:
        with pacing.turn():
            second_runs.set()
            assert go_on.wait(SECONDS)
            order.append("second")

    def third() -> None:
        with pacing.turn():
            order.append("third")

    threads = [begun(first)]
    assert first_waits.wait(SECONDS)
    threads.append(begun(second))
    assert second_runs.wait(SECONDS)
    threads.append(begun(third))
    while not pacing.queued:
        pass
    answered.set()
    while pacing.queued < 2:
        pass
    go_on.set()
    for thread in threads:
        thread.join(SECONDS)
    assert order == ["second", "first", "third"]


def test_an_error_gives_the_turn_back() -> None:
    pacing = Pacing()
    with pytest.raises(ZeroDivisionError), pacing.turn():
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), pacing.turn(), pacing.waiting():
        raise ZeroDivisionError
    ended = begun(lambda: pacing.turn().__enter__())
    ended.join(SECONDS)
    assert not ended.is_alive()


def test_two_that_wait_for_each_other_are_parted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.pacing.PATIENCE_SECONDS", 0.05)
    pacing, computed = Pacing(), threading.Event()
    holds_lock = threading.Event()

    def computes() -> None:  # as a cached function does that asks the engine
        with pacing.turn():
            with pacing.waiting():
                holds_lock.set()
            computed.set()

    with pacing.turn():
        thread = begun(computes)
        with pacing.waiting():
            assert holds_lock.wait(SECONDS)
        assert computed.wait(SECONDS)  # with the turn in hand
    thread.join(SECONDS)
    assert not thread.is_alive()
    with pacing.turn():
        assert pacing.queued == 0
