"""How many more questions this machine takes: an estimate from what was measured.

By the utilisation law (Denning and Buzen 1978, "The Operational Analysis of Queueing Network
Models"): a resource is busy for (questions a second) × (its time for one question), and cannot be
busy for more than all of the time. Users follow from the response time law for interactive
systems: users = questions a second × (seconds of an answer + seconds between two questions).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.observability.series import Recorded

LEAST_QUESTIONS = 30
# Above that, waiting grows faster than work: twice the time at half of it, ten times at nine tenths.
FULL = 0.8
_LEAST_STEPS = 8
_FIT = 0.5  # share of the variance that a line must explain to be believed

QUESTIONS = "dossier_question_seconds_count"


@dataclass(frozen=True, slots=True)
class Demand:
    """What questions ask of one resource.

    used: share of it in use, by anything. milliseconds: of it for one question.
    most: questions a second at which it is used to FULL, with what else uses it going on.
    """

    resource: str
    used: float
    milliseconds: float
    most: float


@dataclass(frozen=True, slots=True)
class Capacity:
    """now, most: questions a second, as measured and at FULL use of what is used up first.

    answer_seconds: mean time of an answer. demands: the one used up first comes first.
    """

    questions: int
    now: float
    most: float
    answer_seconds: float
    demands: tuple[Demand, ...]

    def users(self, pause_seconds: float) -> tuple[int, int]:
        """How many people ask now, and how many more could.

        pause_seconds: from an answer to the same person's next question.
        """
        each = self.answer_seconds + pause_seconds
        return round(self.now * each), int(max(0.0, self.most - self.now) * each)


def estimate(recorded: Recorded, host: str) -> Capacity | None:
    """From what the processes on `host` measured; None where they answered too few questions."""
    here = Recorded(
        recorded.times,
        recorded.seconds,
        {name: steps for name, steps in recorded.processes.items() if name.partition(":")[0] == host},
    )
    counted = here.grown(QUESTIONS)
    questions, seconds = _total(counted), _span(here, counted)
    if questions < LEAST_QUESTIONS:
        return None
    spent = _total(here.grown("dossier_question_seconds_sum"))
    found = [
        _processors(here, counted, questions, seconds),
        _event_loops(here, questions, seconds),
        _connections(here, questions, seconds),
    ]
    demands = sorted((demand for demand in found if demand is not None), key=lambda demand: demand.most)
    if not demands:
        return None
    return Capacity(int(questions), questions / seconds, demands[0].most, spent / questions, tuple(demands))


def _processors(
    here: Recorded, counted: Sequence[float | None], questions: float, seconds: float
) -> Demand | None:
    """Of the machine, whoever uses them: what does not grow with the questions is not theirs."""
    cores = _latest(here.level("dossier_machine_cores", shared=True))
    busy = here.grown("dossier_machine_cpu_seconds_total", shared=True)
    if not cores:
        return None
    spent = _total(busy)
    own = _total(here.grown("process_cpu_seconds_total")) / questions
    each = _slope(counted, busy) or _beyond_rest(here.seconds, counted, busy) or spent / questions
    each = max(each, own)
    beside = max(0.0, spent - each * questions) / seconds  # cores that others keep busy
    return Demand(
        f"Processors ({cores:.0f} cores)",
        spent / seconds / cores,
        each * 1000,
        max(0.0, cores * FULL - beside) / each,
    )


def _event_loops(here: Recorded, questions: float, seconds: float) -> Demand | None:
    """One thread a process, which every question passes through."""
    loops = sum(1 for steps in here.processes.values() if any(step is not None for step in steps[-3:]))
    spent = _total(here.grown("dossier_event_loop_busy_seconds_total"))
    if not loops or not spent:
        return None
    what = "Event loop" if loops == 1 else f"Event loops ({loops} processes)"
    return Demand(what, spent / seconds / loops, spent / questions * 1000, loops * FULL * questions / spent)


def _connections(here: Recorded, questions: float, seconds: float) -> Demand | None:
    held = [level for level in here.level("dossier_pool_connections{state=in_use}") if level is not None]
    limit = _latest(here.level("dossier_pool_connections{state=limit}"))
    if not held or not limit or not (mean := sum(held) / len(held)):
        return None
    return Demand(
        f"Database connections ({limit:.0f})",
        mean / limit,
        mean * seconds / questions * 1000,
        limit * FULL * questions / (mean * seconds),
    )


def _slope(counted: Sequence[float | None], busy: Sequence[float | None]) -> float | None:
    """Processor seconds that one more question took, by least squares over the steps."""
    pairs = [(n, b) for n, b in zip(counted, busy, strict=True) if n is not None and b is not None]
    if len(pairs) < _LEAST_STEPS or len({n for n, _ in pairs}) < 3:
        return None
    x, y = np.array(pairs, dtype=float).T
    slope = float(np.polyfit(x, y, 1)[0])
    explained = float(np.corrcoef(x, y)[0, 1]) ** 2 if y.std() else 0.0
    return slope if slope > 0 and explained >= _FIT else None


def _beyond_rest(
    seconds: Sequence[float], counted: Sequence[float | None], busy: Sequence[float | None]
) -> float | None:
    """Processor seconds a question, beyond what the machine spends while there is none."""
    steps = [(n, b, s) for n, b, s in zip(counted, busy, seconds, strict=True) if None not in (n, b)]
    rest = [(b or 0.0, s) for n, b, s in steps if not n]
    if len(rest) < _LEAST_STEPS:
        return None
    at_rest = sum(b for b, _ in rest) / sum(s for _, s in rest)
    beyond = sum((b or 0.0) - at_rest * s for n, b, s in steps if n)
    return max(0.0, beyond) / sum(n or 0.0 for n, _, _ in steps) or 1e-6


def _span(here: Recorded, counted: Sequence[float | None]) -> float:
    """Seconds of the steps in which anything was recorded."""
    there = zip(here.seconds, counted, strict=True)
    return sum(seconds for seconds, value in there if value is not None) or 1.0


def _total(values: Sequence[float | None]) -> float:
    return sum(value for value in values if value is not None)


def _latest(values: Sequence[float | None]) -> float | None:
    return next((value for value in reversed(values) if value is not None), None)
