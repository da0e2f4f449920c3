"""The estimate of how many more users a machine takes follows from what was measured."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from engine.observability.capacity import FULL, estimate
from engine.observability.series import Bucket, Recorded

STEP = 10.0


def recorded(
    questions: list[int], *, cpu_each: float, beside: float = 0.0, loop_each: float = 0.01
) -> Recorded:
    """A machine of 4 cores; seconds of them for one question, and cores that others keep busy."""
    steps = []
    for count in questions:
        bucket = Bucket(
            counts={
                "dossier_question_seconds_count": count,
                "dossier_question_seconds_sum": count * 0.5,
                "dossier_machine_cpu_seconds_total": count * cpu_each + beside * STEP,
                "dossier_event_loop_busy_seconds_total": count * loop_each,
            }
        )
        bucket.see({"dossier_machine_cores": 4, "dossier_pool_connections{state=limit}": 10})
        bucket.see({"dossier_pool_connections{state=in_use}": count * 0.05 / STEP})
        steps.append(bucket)
    began = datetime.now(UTC)
    times = tuple(began + timedelta(seconds=STEP * place) for place in range(len(questions)))
    return Recorded(times, (STEP,) * len(questions), {"here:1": steps})


VARIED = [0, 10, 20, 40, 5, 30, 15, 25, 35, 20]


def test_the_resource_used_up_first_decides() -> None:
    capacity = estimate(recorded(VARIED, cpu_each=0.1), "here")
    assert capacity is not None
    assert capacity.demands[0].resource.startswith("Processors")
    assert capacity.now == pytest.approx(2.0)
    assert capacity.most == pytest.approx(4 * FULL / 0.1)
    # 2 questions a second, each user one every half a second and 29.5: 60 of them.
    assert capacity.users(29.5) == (60, int((32 - 2.0) * 30))
    loop = estimate(recorded(VARIED, cpu_each=0.1, loop_each=0.09), "here")
    assert loop is not None and loop.demands[0].resource == "Event loop"
    assert loop.most == pytest.approx(FULL / 0.09)


def test_what_others_keep_busy_is_not_charged_to_the_questions() -> None:
    capacity = estimate(recorded(VARIED, cpu_each=0.1, beside=1.2), "here")
    assert capacity is not None
    assert capacity.demands[0].milliseconds == pytest.approx(100)
    assert capacity.most == pytest.approx((4 * FULL - 1.2) / 0.1)


def test_where_the_load_does_not_follow_the_questions_all_of_it_counts() -> None:
    capacity = estimate(recorded([20] * 10, cpu_each=0.1, beside=1.0), "here")
    assert capacity is not None
    assert capacity.demands[0].milliseconds == pytest.approx(600)


def test_a_machine_that_others_fill_is_told_so_and_a_question_costs_what_dossier_spent() -> None:
    full = recorded([0] * 10 + [20] * 10, cpu_each=0.0, beside=4.0)
    for step in full.processes["here:1"]:
        assert step is not None
        step.counts["process_cpu_seconds_total"] = step.counts["dossier_question_seconds_count"] * 0.05
    capacity = estimate(full, "here")
    assert capacity is not None
    assert capacity.demands[0].milliseconds == pytest.approx(50)
    assert capacity.users(30)[1] == 0


def test_few_questions_or_another_machine_make_no_estimate() -> None:
    assert estimate(recorded([1, 2, 3], cpu_each=0.1), "here") is None
    assert estimate(recorded(VARIED, cpu_each=0.1), "elsewhere") is None
