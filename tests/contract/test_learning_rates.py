"""Our schedules keep the contract of schedules."""

from hvae_core.plugins.testing import ScheduleContract


class TestConstant(ScheduleContract):
    spec = "schedule.constant"


class TestLinear(ScheduleContract):
    spec = "schedule.linear"


class TestExponential(ScheduleContract):
    spec = "schedule.exponential"


class TestCosine(ScheduleContract):
    spec = "schedule.cosine"


class TestCosineRestarts(ScheduleContract):
    spec = "schedule.cosine-restarts"


class TestInverseSqrt(ScheduleContract):
    spec = "schedule.inverse-sqrt"
    configs = ({}, {"timescale": 3})


class TestWarmupStableDecay(ScheduleContract):
    spec = "schedule.warmup-stable-decay"
    configs = ({}, {"decay": "linear", "decay_fraction": 1.0}, {"decay": "cosine"})
