"""Each backend's own error of too little memory is known as one."""

import keras
import pytest

from hvae_core.backends.out_of_memory import is_out_of_memory, what_was_asked

pytestmark = pytest.mark.every_backend


def test_the_backend_s_own_error():
    with pytest.raises(Exception) as raised:  # noqa: PT011 each backend has its own
        # more than a processor can address
        keras.ops.convert_to_numpy(keras.ops.ones((1 << 23, 1 << 23), "float32"))
    assert is_out_of_memory(raised.value), (type(raised.value), str(raised.value)[:500])


@pytest.mark.parametrize(
    ("kind", "said", "asked"),
    [
        (MemoryError, "Unable to allocate 128. GiB", "Unable to allocate 128. GiB"),
        (
            RuntimeError,
            "CUDA out of memory. Tried to allocate 2.00 GiB.",
            "2.00 GiB were asked for",
        ),
        (
            RuntimeError,
            "can't allocate memory: tried to allocate 9 bytes",
            "9 bytes were asked for",
        ),
        (RuntimeError, "RESOURCE_EXHAUSTED: Out of memory", ""),
    ],
)
def test_how_much_was_asked_for(kind, said, asked):
    assert is_out_of_memory(kind(said))
    assert what_was_asked(kind(said)) == asked


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("out of memory")])
def test_other_errors_are_none(error):
    assert not is_out_of_memory(error)
