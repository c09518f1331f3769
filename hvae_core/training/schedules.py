"""Learning rate, beta and length of a run, as pure functions of the update's number or time.

Updates are counted from 0, and nothing here has a state, so a resumed run follows the same curves.
"""

from __future__ import annotations

from hvae_core.config import TrainConfig
from hvae_core.errors import ConfigError
from hvae_core.interfaces import Progress, Schedule


def total_steps(config: TrainConfig, steps_per_epoch: int) -> int | None:
    """The number of updates that ``train.epochs`` or ``train.steps`` asks for.

    None where ``train.minutes`` is given: `hvae_core.runs.clock.Clock` then tells the end.

    Raises:
        ConfigError: none of them is given, or the schedule cannot follow the options.
    """
    _schedule(config)
    if config.steps is not None:
        return config.steps
    if config.epochs is not None:
        return config.epochs * steps_per_epoch
    if config.minutes is not None:
        return None
    raise ConfigError(
        "train.epochs is not given: nothing says how long to train.",
        "Set train.epochs, train.steps for a number of updates, or train.minutes.",
    )


def warmup_steps(config: TrainConfig, steps_per_epoch: int) -> int:
    """Updates of the learning rate's warm-up; one epoch where neither option is given."""
    if config.warmup_steps is not None:
        return config.warmup_steps
    epochs = 1.0 if config.warmup_epochs is None else config.warmup_epochs
    return round(epochs * steps_per_epoch)


def learning_rate(
    config: TrainConfig, step: int, steps_per_epoch: int, total: int, part: float | None = None
) -> float:
    """The learning rate of update ``step``.

    During the warm-up of W updates it is ``step / W`` of the full rate, so the first update is
    made with 0, as in Child (2020). After it ``train.schedule`` decides, see `Schedule`.

    Args:
        config: the training options.
        step: number of the update, from 0.
        steps_per_epoch: updates in an epoch.
        total: updates of the whole run.
        part: the part of the time after the warm-up that is over, where time decides.
    """
    warmup = warmup_steps(config, steps_per_epoch)
    if step < warmup:
        return config.learning_rate * step / warmup
    done, steps = step - warmup, max(1, total - warmup)
    fraction = min(1.0, done / steps) if part is None else part
    return _schedule(config).rate(Progress(fraction, done, steps, warmup))


def _schedule(config: TrainConfig) -> Schedule:
    schedule: Schedule = config.schedule.build(config.schedule_settings)
    return schedule


def skip_start_step(config: TrainConfig, steps_per_epoch: int) -> int:
    """The first update that ``train.skip_norm`` may skip; after two epochs where nothing says."""
    if config.skip_start_step is not None:
        return config.skip_start_step
    epochs = 2.0 if config.skip_start_epoch is None else config.skip_start_epoch
    return round(epochs * steps_per_epoch)


def beta_warmup(config: TrainConfig, steps_per_epoch: int) -> int:
    """Updates of beta's ramp, and the length of a cycle; 0 where neither option is given."""
    if config.beta_warmup is not None:
        return config.beta_warmup
    return round((config.beta_warmup_epochs or 0.0) * steps_per_epoch)


def beta(config: TrainConfig, step: int, steps_per_epoch: int) -> float:
    """The weight of the KL at update ``step``.

    It rises linearly to ``train.beta`` during `beta_warmup` updates, from update
    ``beta_warmup_start`` on; ``beta_minimum`` is the least part of it. With ``beta_cycles`` there
    are so many cycles of that length, each of which rises during its first half and holds during
    its second (Fu et al. 2019); with ``beta_cycles_share_warmup`` they have that length together.
    """
    if beta_is_settled(config, step, steps_per_epoch):
        return config.beta
    done = max(0, step - config.beta_warmup_start) / beta_warmup(config, steps_per_epoch)
    if config.beta_cycles:
        cycles = config.beta_cycles if config.beta_cycles_share_warmup else 1
        done = min(1.0, 2.0 * ((done * cycles) % 1.0))
    return config.beta * max(done, config.beta_minimum)


def beta_is_settled(config: TrainConfig, step: int, steps_per_epoch: int) -> bool:
    """Whether beta has reached its value for good, so that bounds can be compared."""
    cycles = 1 if config.beta_cycles_share_warmup else max(1, config.beta_cycles)
    updates = cycles * beta_warmup(config, steps_per_epoch)
    return step >= updates + (config.beta_warmup_start if updates else 0)
