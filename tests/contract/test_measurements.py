"""Our measurements keep the contract of measurements."""

from hvae_core.plugins.testing import MeasurementContract


class TestColumns(MeasurementContract):
    spec = "measurement.columns"


class TestMask(MeasurementContract):
    spec = "measurement.mask"


class TestDownsample(MeasurementContract):
    spec = "measurement.downsample"


class TestBlur(MeasurementContract):
    spec = "measurement.blur"


class TestNoise(MeasurementContract):
    spec = "measurement.noise"


class TestSequence(MeasurementContract):
    spec = "measurement.sequence"
