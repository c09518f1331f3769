"""The contract kit: tests that the author of a component inherits; needs pytest.

::

    from hvae.plugins.testing import FlowContract

    class TestMyFlow(FlowContract):
        spec = "flow.my-flow"
        configs = [{}, {"layers": 4}]
"""

from hvae_core.plugins.testing import *
from hvae_core.plugins.testing import __all__ as __all__
