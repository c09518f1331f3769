"""One implementation in a process of its own, told by lines on stdin how many steps to run.

Started by the benchmarks: ``python worker.py TASK IMPLEMENTATION BATCH CONFIG.yaml``. Each answer
is a line of JSON on stdout, after `MARK`.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

MARK = "hvae-benchmark "
PLAIN = "plain"
#: steps that are not timed; at the second PyTorch records the operations, as it does after more of
#: them elsewhere
WARM_UP = 3
Run = Callable[[int], None]


def memory() -> dict[str, float]:
    """Resident memory of this process, now and at its peak, in MiB."""
    status = Path("/proc/self/status")
    if status.is_file():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines() if ":" in line)
        now, peak = (int(fields[key].split()[0]) / 1024 for key in ("VmRSS", "VmHWM"))
        return {"now": now, "peak": peak}
    import resource

    unit = 2**20 if platform.system() == "Darwin" else 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return {"now": peak, "peak": peak}


def plain_subject(task: str, config: Any, images: np.ndarray) -> tuple[Run, int]:
    """What to run, and the number of parameters, of the plain model."""
    import torch
    from plain_torch import PlainVDVAE, Trainer

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(0)
    layout = torch.channels_last if device.type == "cuda" else torch.contiguous_format
    model = PlainVDVAE(config).to(device, memory_format=layout)
    x = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).to(device)
    trainer = Trainer(model, config) if task == "train" else None

    def run(steps: int) -> None:
        for _ in range(steps):
            if trainer is not None:
                trainer.step(x)
                continue
            with torch.no_grad():
                if task == "elbo":
                    model.elbo(x, model.noise(len(x), device)).cpu()
                else:
                    model.sample(len(x), device).cpu()

    return run, sum(parameter.numel() for parameter in model.parameters())


def hvae_subject(task: str, config: Any, images: np.ndarray) -> tuple[Run, int]:
    """The same of hvae, on the active backend."""
    from keras import ops

    from hvae_core.backends import capturing
    from hvae_core.training.step import build_step
    from hvae_core.vae import HierarchicalVAE

    capturing.CALLS_BEFORE_RECORDING = 1
    model, rows, done = HierarchicalVAE(config), len(images), 0
    step = build_step(model, config.train) if task == "train" else None

    def run(steps: int) -> None:
        nonlocal done
        for _ in range(steps):
            done += 1
            if step is not None:
                figures = step(
                    images, step=done, learning_rate=config.train.learning_rate, beta=1.0
                )
            elif task == "elbo":
                model.elbo(images, seed=done, batch_size=rows)
            else:
                model.sample(rows, seed=done, batch_size=rows)
        if step is not None:
            assert np.isfinite(ops.convert_to_numpy(figures["loss"]))  # waits for the device

    return run, model.count_params()


def agreement(config: Any, images: np.ndarray) -> float:
    """The largest relative difference of the two bounds with the same weights and noise."""
    import torch
    from keras import ops
    from plain_torch import PlainVDVAE

    from hvae_core.inference.rows import latent_noise
    from hvae_core.vae import HierarchicalVAE
    from hvae_core.weights import weight_names

    model, plain = HierarchicalVAE(config), PlainVDVAE(config)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:  # the prior's heads start at zero
        variable.assign(variable + rng.normal(0.0, 0.02, variable.shape).astype(np.float32))
    plain.load_weights({k: ops.convert_to_numpy(v) for k, v in weight_names(model).items()})
    noise = latent_noise(model, range(len(images)), 0)
    ours = model.elbo(images, noise=noise).elbo
    with torch.no_grad():
        theirs = plain.elbo(
            torch.from_numpy(images.transpose(0, 3, 1, 2).copy()),
            [torch.from_numpy(z.transpose(0, 3, 1, 2).copy()) for z in noise],
        ).numpy()
    return float(np.max(np.abs(ours - theirs) / np.abs(theirs)))


def answer(**values: Any) -> None:
    print(MARK + json.dumps(values), flush=True)


def main() -> None:
    """Set up, then run as many steps as each line asks for."""
    task, implementation, batch, path = sys.argv[1:]
    from hvae_core.backends.selection import select_backend
    from hvae_core.config import load_config

    config = load_config(path)
    images = np.random.default_rng(0).integers(
        0, 256, (int(batch), *config.model.image_shape), np.uint8
    )
    if task == "agreement":
        select_backend("torch")
        answer(difference=agreement(config, images))
        return
    if implementation == PLAIN:
        import plain_torch  # noqa: F401, before memory is read

        versions = {"torch": version("torch")}
    else:
        select_backend(implementation)
        import hvae_core.training.step  # noqa: F401

        versions = {name: version(name) for name in ("hvae", "keras", implementation)}
    before = memory()
    subject = plain_subject if implementation == PLAIN else hvae_subject
    start = time.perf_counter()
    run, parameters = subject(task, config, images)
    built = time.perf_counter()
    run(1)
    answer(
        parameters=parameters,
        versions=versions,
        build_seconds=built - start,
        first_seconds=time.perf_counter() - built,
        imported=before["now"],
    )
    run(WARM_UP - 1)
    for line in sys.stdin:
        start, cpu = time.perf_counter(), time.process_time()
        run(int(line))
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        answer(seconds=seconds, cpu_seconds=cpu, peak=memory()["peak"])


if __name__ == "__main__":
    main()
