"""The contract of regularizers."""

from __future__ import annotations

from hvae_core.plugins.testing.component import ComponentContract


class RegularizerContract(ComponentContract):
    """A regularizer."""

    kind = "regularizer"
