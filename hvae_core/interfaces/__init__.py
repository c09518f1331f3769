"""The contracts between the hierarchy and its parts, and the typed outputs they return.

Keras-free: a data set or a likelihood can be described without a backend. Components with
weights derive from the contract and from `keras.layers.Layer`::

    class Planar(Flow, keras.layers.Layer): ...

Shapes are channels-last: B batch, H height, W width, C channels. Densities are in nats, float32.
A component's builder gets its validated options first, then what its contract's docstring lists.
"""

from hvae_core.interfaces.batch import Batch
from hvae_core.interfaces.components import (
    Activation,
    Attention,
    Block,
    BlockShape,
    Flow,
    Hierarchy,
    HierarchyShape,
    Likelihood,
    Regularizer,
    ScaleShape,
)
from hvae_core.interfaces.conditions import Condition, ConditionValues
from hvae_core.interfaces.datasets import (
    ConditionColumn,
    Dataset,
    DatasetInfo,
    ImageSource,
    Invariance,
)
from hvae_core.interfaces.formats import (
    Exporter,
    Imported,
    Importer,
    Mode,
    Runtime,
)
from hvae_core.interfaces.measurements import Measured, Measurement, check_measured
from hvae_core.interfaces.outputs import (
    FlowOutput,
    GaussianParameters,
    LatentOutput,
    LayerPosterior,
    PassOutput,
    Pruned,
    Shape3,
    Tensor,
    TensorSpec,
)
from hvae_core.interfaces.priors import ConditionalPrior, Prior
from hvae_core.interfaces.training import (
    Optimizer,
    OptimizerSettings,
    Progress,
    Schedule,
    ScheduleSettings,
    Tracker,
)
from hvae_core.interfaces.values import UINT8, ImageValues

__all__ = [
    "UINT8",
    "Activation",
    "Attention",
    "Batch",
    "Block",
    "BlockShape",
    "Condition",
    "ConditionColumn",
    "ConditionValues",
    "ConditionalPrior",
    "Dataset",
    "DatasetInfo",
    "Exporter",
    "Flow",
    "FlowOutput",
    "GaussianParameters",
    "Hierarchy",
    "HierarchyShape",
    "ImageSource",
    "ImageValues",
    "Imported",
    "Importer",
    "Invariance",
    "LatentOutput",
    "LayerPosterior",
    "Likelihood",
    "Measured",
    "Measurement",
    "Mode",
    "Optimizer",
    "OptimizerSettings",
    "PassOutput",
    "Prior",
    "Progress",
    "Pruned",
    "Regularizer",
    "Runtime",
    "ScaleShape",
    "Schedule",
    "ScheduleSettings",
    "Shape3",
    "Tensor",
    "TensorSpec",
    "Tracker",
    "check_measured",
]
