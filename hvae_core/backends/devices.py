"""Which devices a run computes on, and how its batches lie on them. Imports Keras on use.

Several devices train one model on one global batch: every device holds all weights and an equal
share of the rows. On JAX what is compiled over them is the program of one device with the rows
divided; on PyTorch each device has a process of its own, and the gradients' mean crosses between
them. Either way the gradient that is measured, clipped or skipped is that of the global batch.
"""

from __future__ import annotations

import collections
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from hvae_core.backends.processes import divides_rows, place_on_machine, process_count
from hvae_core.errors import ConfigError

if TYPE_CHECKING:
    from hvae_core.config import TrainConfig
    from hvae_core.interfaces import Tensor


@contextmanager
def use_devices(config: TrainConfig) -> Iterator[None]:
    """Inside, models are made and batches computed on the devices that ``config`` names.

    Args:
        config: ``devices`` are indices of this process's devices; None is all of them on JAX, with
            several processes on PyTorch the one of this process's place on its machine, else the
            first. ``batch_size`` is that of all devices together.

    Raises:
        ConfigError: there is no such device, the backend cannot use several, or they do not divide
            the batch.
    """
    import keras

    indices, backend, local = config.devices, keras.config.backend(), local_devices()
    chosen = list(range(len(local))) if indices is None else list(indices)
    for index in chosen:
        if index >= len(local):
            raise ConfigError(
                f"train.devices names device {index}, but there are {len(local)}, from 0 on: "
                f"{', '.join(map(str, local))}."
            )
    if not chosen or len(set(chosen)) < len(chosen):
        raise ConfigError(f"train.devices is {chosen}; expected different devices, at least one.")
    if backend != "jax" and indices is not None and len(chosen) > 1:
        raise ConfigError(
            f"train.devices names {len(chosen)} devices, but {backend} trains on one in each "
            "process; several need JAX, or a process each on PyTorch.",
            "Choose JAX with: hvae --backend jax; or start the processes with torchrun.",
        )
    with ExitStack() as stack:
        if backend == "jax":
            distribution = _data_parallel([local[index] for index in chosen], config)
            if distribution is not None:
                stack.enter_context(distribution.scope())
        elif divides_rows():
            _check_division(config, process_count(), "processes")
            place = place_on_machine() % len(local) if indices is None else chosen[0]
            stack.enter_context(keras.device(local[place]))
        elif indices is not None:
            stack.enter_context(keras.device(local[chosen[0]]))
        yield


def _check_division(config: TrainConfig, count: int, what: str) -> None:
    """Refuse a batch that the devices or processes do not divide.

    Raises:
        ConfigError: this is one.
    """
    batch_size, parts = config.batch_size, config.accumulate
    if batch_size % (parts * count):
        by = f" in {parts} parts (train.accumulate)" if parts > 1 else ""
        raise ConfigError(
            f"train.batch_size is {batch_size}, which {count} {what} do not divide{by}.",
            f"Set it to a multiple of {parts * count}, or choose fewer {what}.",
        )


def local_devices() -> list[Any]:
    """This process's devices: JAX's own objects, elsewhere Keras's names such as ``gpu:0``."""
    import keras

    backend = keras.config.backend()
    if backend == "jax":
        import jax

        return jax.local_devices()
    if backend == "tensorflow":
        import tensorflow as tf

        count = len(tf.config.list_physical_devices("GPU"))
    elif backend == "torch":
        import torch

        count = torch.cuda.device_count()
    else:
        count = 0
    return [f"gpu:{index}" for index in range(count)] or ["cpu:0"]


def _data_parallel(local: list[Any], config: TrainConfig) -> Any:
    """Keras's distribution over the chosen devices; None for the one that JAX uses anyway."""
    import jax
    import keras

    devices = local
    if jax.process_count() > 1:
        # each process names its own devices; those of all of them make the mesh
        places = {jax.local_devices().index(device) for device in local}
        devices = [
            device
            for process in range(jax.process_count())
            for place, device in enumerate(jax.local_devices(process))
            if place in places
        ]
    if len(devices) == 1 and devices[0] == jax.devices()[0]:
        return None
    if len(devices) > 1 and not config.compile:
        raise ConfigError(
            f"train.compile is false, which takes one device; there are {len(devices)}.",
            "Name one with train.devices, or leave train.compile on.",
        )
    _check_division(config, len(devices), "devices")
    return keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False)


def shard(rows: np.ndarray) -> Tensor:
    """A global batch [B, ...], the same in each process, with its rows divided over the devices."""
    layout = _rows_layout(rows.shape)
    if layout is None:
        from keras import ops

        return ops.convert_to_tensor(rows)
    import jax

    return jax.make_array_from_callback(rows.shape, layout, lambda index: rows[index])


def shard_batches(arrays: Any) -> Any:
    """`shard` for those of a tree of arrays that the devices divide; the others as they are."""
    distribution = _distribution()
    if distribution is None:
        return arrays
    import keras

    count = distribution.device_mesh.devices.size

    def place(array: Any) -> Any:
        is_batch = isinstance(array, np.ndarray) and array.ndim > 1 and len(array) % count == 0
        return shard(array) if is_batch else array

    return keras.tree.map_structure(place, arrays)


def replicate(number: float, dtype: str) -> Tensor | np.ndarray:
    """A number as every device's program can take it."""
    if _distribution() is not None:
        return np.asarray(number, dtype)
    from keras import ops

    return ops.convert_to_tensor(number, dtype=dtype)


def sharded_normal(shape: tuple[int, int], seed: int) -> Tensor:
    """Standard-normal numbers [B, N], each row drawn where it is needed.

    They follow from the seed and their place alone, so they are those of one device.
    """
    layout = _rows_layout(shape)
    if layout is None:
        import keras

        return keras.random.normal(shape, dtype="float32", seed=seed)
    # what Keras makes of a seed that is a number
    return _drawing(shape, layout)(np.asarray([seed, 0], np.uint32))


@functools.lru_cache(maxsize=4)
def _drawing(shape: tuple[int, int], layout: Any) -> Callable[[np.ndarray], Tensor]:
    import jax
    import keras

    return jax.jit(
        lambda seed: keras.random.normal(shape, dtype="float32", seed=seed), out_shardings=layout
    )


def constrain_rows(rows: Tensor) -> Tensor:
    """``rows`` [b, ...], cut out of a batch in a program, divided over the devices again."""
    layout = _rows_layout(rows.shape)
    if layout is None:
        return rows
    import jax

    return jax.lax.with_sharding_constraint(rows, layout)


def replicated() -> Any:
    """JAX's sharding of what every device holds whole, or None on one device."""
    distribution = _distribution()
    if distribution is None:
        return None
    import jax

    mesh = distribution.device_mesh.backend_mesh
    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())


def _rows_layout(shape: Sequence[int]) -> Any:
    distribution = _distribution()
    return None if distribution is None else distribution.get_data_layout(shape).backend_layout


def _distribution() -> Any:
    import keras

    return keras.distribution.distribution()


def devices_in_use() -> str:
    """The devices in words, such as ``2 x NVIDIA H100`` or ``cpu``; inside `use_devices`."""
    distribution = _distribution()
    if distribution is None:
        kinds = [_kind_in_scope()]
    else:
        kinds = [_kind(device) for device in distribution.device_mesh.devices.flat]
    counted = collections.Counter(kinds).items()
    return ", ".join(f"{count} x {kind}" if count > 1 else kind for kind, count in counted)


def _kind(device: Any) -> str:
    return str(getattr(device, "device_kind", device))


def _kind_in_scope() -> str:
    """The kind of the one device that computes: where a tensor is made now."""
    import keras

    backend = keras.config.backend()
    if backend == "torch":
        import torch

        place = keras.ops.convert_to_tensor(0.0).device
        if place.type == "cuda":
            return str(torch.cuda.get_device_name(place))
    elif backend == "tensorflow":
        import tensorflow as tf

        kind, _, index = keras.ops.convert_to_tensor(0.0).device.rpartition(":")
        if kind.endswith("GPU"):
            device = tf.config.list_physical_devices("GPU")[int(index)]
            details = tf.config.experimental.get_device_details(device)
            return str(details.get("device_name", f"gpu:{index}"))
    return _kind(local_devices()[0])
