import math

import pytest

from hvae_core.config import TrainConfig
from hvae_core.errors import ConfigError
from hvae_core.training import schedules

BASE = {"learning_rate": 1e-2, "final_learning_rate": 1e-4}


def rate(step, per_epoch=10, total=110, **options):
    config = TrainConfig(**{**BASE, **options})
    return schedules.learning_rate(config, step, per_epoch, total)


def test_total_steps_come_from_epochs_or_steps():
    assert schedules.total_steps(TrainConfig(epochs=3), 7) == 21
    assert schedules.total_steps(TrainConfig(steps=5), 7) == 5
    assert schedules.total_steps(TrainConfig(minutes=5), 7) is None
    with pytest.raises(ConfigError, match=r"train\.epochs"):
        schedules.total_steps(TrainConfig(), 7)


def test_an_exponential_decay_to_zero_is_refused():
    config = TrainConfig(steps=5, schedule="exponential", final_learning_rate=0)
    with pytest.raises(ConfigError, match=r"train\.final_learning_rate"):
        schedules.total_steps(config, 7)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 10),
        ({"warmup_steps": 3}, 3),
        ({"warmup_steps": 0}, 0),
        ({"warmup_epochs": 2.5}, 25),
        ({"warmup_epochs": 0}, 0),
    ],
)
def test_warmup_steps(options, expected):
    assert schedules.warmup_steps(TrainConfig(**options), 10) == expected


@pytest.mark.parametrize("schedule", ["constant", "exponential", "cosine", "cosine-restarts"])
def test_every_schedule_warms_up_from_zero(schedule):
    rates = [rate(step, schedule=schedule) for step in range(11)]
    assert rates == pytest.approx([1e-2 * step / 10 for step in range(11)])


@pytest.mark.parametrize(
    ("schedule", "step", "expected"),
    [
        ("constant", 60, 1e-2),
        ("constant", 110, 1e-2),
        ("exponential", 60, 1e-3),
        ("exponential", 110, 1e-4),
        ("exponential", 500, 1e-4),
        ("cosine", 35, 1e-4 + 9.9e-3 * 0.5 * (1 + math.cos(math.pi / 4))),
        ("cosine", 60, 5.05e-3),
        ("cosine", 110, 1e-4),
        ("cosine", 500, 1e-4),
        ("cosine-restarts", 35, 1e-2),
        ("cosine-restarts", 60, 1e-2),
        ("cosine-restarts", 34, 1e-4 + 9.9e-3 * 0.5 * (1 + math.cos(math.pi * 0.96))),
        ("cosine-restarts", 47, 1e-4 + 9.9e-3 * 0.5 * (1 + math.cos(math.pi * 0.48))),
        ("cosine-restarts", 110, 1e-4),
    ],
)
def test_the_decay_follows_its_closed_form_and_ends_at_the_final_rate(schedule, step, expected):
    assert rate(step, schedule=schedule, restarts=4) == pytest.approx(expected)


def test_a_warmup_longer_than_the_run_is_only_a_ramp():
    assert rate(4, per_epoch=10, total=5) == pytest.approx(4e-3)


@pytest.mark.parametrize(
    ("options", "step", "expected"),
    [
        ({}, 0, 2.0),
        ({"beta_warmup": 100}, 0, 0.0),
        ({"beta_warmup": 100}, 25, 0.5),
        ({"beta_warmup": 100}, 100, 2.0),
        ({"beta_warmup_epochs": 2.5}, 5, 0.4),
        ({"beta_warmup_epochs": 2.5}, 25, 2.0),
        # each of two cycles has the length of the warm-up: half ramp, half hold
        ({"beta_warmup": 100, "beta_cycles": 2}, 10, 0.4),
        ({"beta_warmup": 100, "beta_cycles": 2}, 50, 2.0),
        ({"beta_warmup": 100, "beta_cycles": 2}, 99, 2.0),
        ({"beta_warmup": 100, "beta_cycles": 2}, 100, 0.0),
        ({"beta_warmup": 100, "beta_cycles": 2}, 125, 1.0),
        ({"beta_warmup": 100, "beta_cycles": 2}, 200, 2.0),
        ({"beta_warmup": 100, "beta_cycles": 2, "beta_cycles_share_warmup": True}, 10, 0.8),
        ({"beta_warmup": 100, "beta_cycles": 2, "beta_cycles_share_warmup": True}, 49, 2.0),
        ({"beta_warmup": 100, "beta_cycles": 2, "beta_cycles_share_warmup": True}, 50, 0.0),
        ({"beta_warmup": 100, "beta_cycles": 2, "beta_cycles_share_warmup": True}, 100, 2.0),
        ({"beta_warmup": 100, "beta_warmup_start": 20}, 20, 0.0),
        ({"beta_warmup": 100, "beta_warmup_start": 20}, 70, 1.0),
        ({"beta_warmup": 100, "beta_warmup_start": 20, "beta_minimum": 0.25}, 40, 0.5),
        ({"beta_warmup": 100, "beta_warmup_start": 20, "beta_minimum": 0.25}, 120, 2.0),
        ({"beta_warmup_start": 20, "beta_minimum": 0.25}, 0, 2.0),
    ],
)
def test_beta(options, step, expected):
    assert schedules.beta(TrainConfig(beta=2.0, **options), step, 10) == pytest.approx(expected)


def test_beta_settles_after_all_its_cycles():
    for shared, settled in ((False, 200), (True, 100)):
        config = TrainConfig(beta_warmup=100, beta_cycles=2, beta_cycles_share_warmup=shared)
        assert not schedules.beta_is_settled(config, settled - 1, 10)
        assert schedules.beta_is_settled(config, settled, 10)


@pytest.mark.parametrize(
    ("options", "expected"),
    [({}, 20), ({"skip_start_epoch": 0.5}, 5), ({"skip_start_step": 3}, 3),
     ({"skip_start_step": 0}, 0)],
)  # fmt: skip
def test_skipping_starts_after_two_epochs_unless_said_otherwise(options, expected):
    assert schedules.skip_start_step(TrainConfig(**options), 10) == expected
