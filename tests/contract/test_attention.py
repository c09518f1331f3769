"""Our attention keeps the contract of attention."""

import pytest

from hvae_core.plugins.testing import AttentionContract
from hvae_plugins.attention import davi

pytestmark = pytest.mark.every_backend


class TestDavi(AttentionContract):
    spec = davi.hvae_component()
    configs = [{"query_width": 3, "queries": 2}]  # noqa: RUF012 - as a third party writes it
