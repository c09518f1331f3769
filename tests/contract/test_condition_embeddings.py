"""Our conditions keep the contract of conditions."""

import pytest

from hvae_core.plugins.testing import ConditionContract

pytestmark = pytest.mark.every_backend


class TestLabel(ConditionContract):
    spec = "condition.label"


class TestVector(ConditionContract):
    spec = "condition.vector"
