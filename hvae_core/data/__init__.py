"""Images: reading, decoding, batching. Nothing here imports Keras.

The data sets themselves are plugins (`hvae_plugins.datasets`); what they share is here.
"""

from hvae_core.data.arrays import ArraySource
from hvae_core.data.batches import Batches, evaluation_batches, prefetch, split_validation
from hvae_core.data.conditions import Conditions, described_condition, open_conditions
from hvae_core.data.opening import open_dataset

__all__ = [
    "ArraySource",
    "Batches",
    "Conditions",
    "described_condition",
    "evaluation_batches",
    "open_conditions",
    "open_dataset",
    "prefetch",
    "split_validation",
]
