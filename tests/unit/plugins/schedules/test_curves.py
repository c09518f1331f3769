"""The curves that are not in tests/unit/core/training/test_schedules.py: closed forms."""

import math

import pytest

from hvae_core.config import parse_config
from hvae_core.training import schedules


def rate(schedule, step, warmup=10, total=110):
    train = {"schedule": schedule, "learning_rate": 1e-2, "final_learning_rate": 1e-4,
             "warmup_steps": warmup, "steps": total}  # fmt: skip
    return schedules.learning_rate(parse_config({"train": train}).train, step, 10, total)


@pytest.mark.parametrize(
    ("schedule", "step", "expected"),
    [
        ("linear", 10, 1e-2),
        ("linear", 35, 1e-2 - 0.25 * 9.9e-3),
        ("linear", 110, 1e-4),
        ("inverse-sqrt", 10, 1e-2),
        ("inverse-sqrt", 20, 1e-2 / math.sqrt(2)),
        ("inverse-sqrt", 100, 1e-2 / math.sqrt(10)),
        ({"name": "inverse-sqrt", "timescale": 30}, 40, 1e-2 / math.sqrt(2)),
        ("warmup-stable-decay", 89, 1e-2),
        ("warmup-stable-decay", 90, 1e-2),
        ("warmup-stable-decay", 95, 1e-4 + 9.9e-3 * 0.5),
        ("warmup-stable-decay", 110, 1e-4),
        ({"name": "warmup-stable-decay", "decay": "linear"}, 95, 1e-4 + 9.9e-3 * 0.75),
        (
            {"name": "warmup-stable-decay", "decay": "cosine", "decay_fraction": 0.5},
            85, 1e-4 + 9.9e-3 * 0.5,
        ),
    ],
)  # fmt: skip
def test_the_curve_follows_its_closed_form(schedule, step, expected):
    assert rate(schedule, step) == pytest.approx(expected)


def test_without_a_warm_up():
    assert rate("inverse-sqrt", 0, warmup=0) == pytest.approx(1e-2)
    assert rate("inverse-sqrt", 3, warmup=0) == pytest.approx(1e-2 / 2)


def test_every_schedule_goes_on_after_its_end():
    for name in ("linear", "inverse-sqrt", "warmup-stable-decay"):
        assert 0 < rate(name, 500) <= rate(name, 110)
