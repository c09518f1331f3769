"""The contract kit: what a component must do, as tests that its author inherits.

::

    from hvae_core.plugins.testing import FlowContract

    class TestMyFlow(FlowContract):
        spec = my_package.my_flow.hvae_component()   # or "flow.my-flow", if it is installed
        configs = [{}, {"layers": 4}]

Run them with pytest, once for each backend (``KERAS_BACKEND``). Needs ``hvae[test]``; nothing else
of hvae imports pytest.
"""

import pytest

pytest.register_assert_rewrite(
    *(f"{__name__}.{part}" for part in ("component", "layer", "block", "flow", "attention")),
    *(f"{__name__}.{part}" for part in ("likelihood", "dataset", "regularizer", "measurement")),
    f"{__name__}.condition",
    f"{__name__}.prior",
    *(f"{__name__}.{part}" for part in ("optimizer", "schedule", "tracker")),
)

from hvae_core.plugins.testing.attention import AttentionContract  # noqa: E402
from hvae_core.plugins.testing.block import BlockContract  # noqa: E402
from hvae_core.plugins.testing.component import ComponentContract  # noqa: E402
from hvae_core.plugins.testing.condition import ConditionContract  # noqa: E402
from hvae_core.plugins.testing.dataset import DatasetContract  # noqa: E402
from hvae_core.plugins.testing.flow import FlowContract  # noqa: E402
from hvae_core.plugins.testing.layer import LayerContract  # noqa: E402
from hvae_core.plugins.testing.likelihood import LikelihoodContract  # noqa: E402
from hvae_core.plugins.testing.measurement import MeasurementContract  # noqa: E402
from hvae_core.plugins.testing.optimizer import OptimizerContract  # noqa: E402
from hvae_core.plugins.testing.prior import PriorContract  # noqa: E402
from hvae_core.plugins.testing.regularizer import RegularizerContract  # noqa: E402
from hvae_core.plugins.testing.schedule import ScheduleContract  # noqa: E402
from hvae_core.plugins.testing.tracker import TrackerContract  # noqa: E402

__all__ = [
    "AttentionContract",
    "BlockContract",
    "ComponentContract",
    "ConditionContract",
    "DatasetContract",
    "FlowContract",
    "LayerContract",
    "LikelihoodContract",
    "MeasurementContract",
    "OptimizerContract",
    "PriorContract",
    "RegularizerContract",
    "ScheduleContract",
    "TrackerContract",
]
