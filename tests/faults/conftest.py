"""How long hypothesis looks: briefly and always the same by default, or ``long``.

pytest tests/faults/test_fuzz.py --hypothesis-profile long
"""

from hypothesis import HealthCheck, settings

_SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile(
    "brief", max_examples=60, derandomize=True, database=None, deadline=None,
    suppress_health_check=_SLOW,
)  # fmt: skip
settings.register_profile(
    "long", max_examples=2000, deadline=None, print_blob=True, suppress_health_check=_SLOW
)
settings.load_profile("brief")
