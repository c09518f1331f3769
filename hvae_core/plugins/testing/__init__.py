"""The contract kit: what every component of a kind promises, as tests that anyone can apply.

Three lines in a plugin's own test file apply all tests of its kind::

    from hvae_core.plugins.testing import FlowContract

    class TestPlanar(FlowContract):
        spec = "flow.planar"
        configs = ({}, {"layers": 4})

The tests run on the active Keras backend. This package needs pytest; nothing else of
`hvae_core` does.
"""

import pytest

# So that a failed assertion in here shows its values, as in a test file.
pytest.register_assert_rewrite(
    *(
        f"{__name__}.{module}"
        for module in ("base", "blocks", "datasets", "flows", "likelihoods", "weighted")
    )
)

from hvae_core.plugins.testing.base import ComponentContract  # noqa: E402
from hvae_core.plugins.testing.blocks import BlockContract  # noqa: E402
from hvae_core.plugins.testing.datasets import DatasetContract  # noqa: E402
from hvae_core.plugins.testing.flows import FlowContract  # noqa: E402
from hvae_core.plugins.testing.likelihoods import LikelihoodContract  # noqa: E402

__all__ = [
    "BlockContract",
    "ComponentContract",
    "DatasetContract",
    "FlowContract",
    "LikelihoodContract",
]
