"""What a posterior flow costs: a training step with it against the same without, time and memory.

    python benchmarks/flows.py --preset digits-vdvae --backends jax
    python benchmarks/flows.py --convolutions          # the flow alone against its convolutions

The second counts the convolutions of one convolutional Sylvester step with 9 terms on 32x32x16 and
times its value and gradient against as many bare convolutions of the same shapes.
"""

from __future__ import annotations

import os
import statistics
import time
from contextlib import ExitStack

from comparison import Subject, config_file, configuration, parser, print_conditions, print_table

FLOWS = {
    "none": "none",
    "sylvester": {"name": "sylvester", "flows": 4, "orthogonal_vectors": 8},
    "planar": {"name": "planar", "flows": 4},
    "iaf": {"name": "iaf", "flows": 4},
    "conv-sylvester": {"name": "conv-sylvester", "channels": 32, "levels": 2},
}


def compare_steps(arguments) -> None:
    """Steps of each model in turn, so that a change of the machine's speed meets all."""
    from hvae_core.config import load_config

    base = configuration(arguments).to_dict()
    rows = []
    for backend in arguments.backends:
        with ExitStack() as stack:
            subjects = {}
            for label, flow in FLOWS.items():
                config = load_config({**base, "model": {**base["model"], "flow": flow}})
                path = stack.enter_context(config_file(config))
                subjects[label] = Subject("train", backend, arguments.batch, path)
                stack.callback(subjects[label].close)
            seconds = {label: [] for label in FLOWS}
            added = {}
            for _ in range(arguments.rounds):
                for label, subject in subjects.items():
                    result = subject.run(arguments.steps)
                    seconds[label].append(result["seconds"])
                    added[label] = result["peak"] - subject.start["imported"]
        for label, subject in subjects.items():
            ratios = [a / b for a, b in zip(seconds[label], seconds["none"], strict=True)]
            rows.append(
                [
                    backend,
                    label,
                    f"{subject.start['parameters']:,}",
                    f"{statistics.median(ratios):.2f}",
                    f"{min(ratios):.2f} to {max(ratios):.2f}",
                    f"{added[label] / added['none']:.2f}",
                    f"{subject.start['first_seconds']:.0f}",
                ]
            )
    head = [
        "backend",
        "flow",
        "parameters",
        "time ratio",
        "spread",
        "memory ratio",
        "first step, s",
    ]
    print_table(head, rows)
    print_conditions(arguments, list(subjects.values()), subjects["none"].start["parameters"])


def compare_convolutions(arguments) -> None:
    """The flow's value and gradient against its convolutions alone."""
    from hvae_core.backends.selection import select_backend

    backend = select_backend(arguments.backends[0])
    import keras
    import numpy as np
    from keras import ops

    import hvae_core as hvae
    from hvae_core.backends.compiling import value_and_grad

    shape, terms, hidden = (32, 32, 16), 9, 64
    options = {"channels": hidden, "levels": 1, "terms": terms, "context_channels": 0}
    flow = hvae.create("flow.conv-sylvester", options, latent_shape=shape)
    flow.build()
    channels = shape[-1]
    rng = np.random.default_rng(0)
    z = ops.convert_to_tensor(rng.normal(size=(arguments.batch, *shape)).astype("f"))
    shapes = [(3, channels, channels)] * (2 * terms)
    shapes += [(3, channels, hidden), (1, hidden, hidden), (3, hidden, 4 * channels)]
    kernels = [
        keras.Variable(0.05 * rng.normal(size=(k, k, i, o)).astype("f")) for k, i, o in shapes
    ]

    def flow_loss(z):
        out = flow.forward(z)
        return ops.sum(out.z**2) - ops.sum(out.log_det)

    def convolutions_loss(z):
        for kernel in kernels:
            z = ops.conv(z, ops.convert_to_tensor(kernel), padding="same")
        return ops.sum(z**2)

    def program(loss, variables):
        if backend != "jax":
            return lambda: value_and_grad(lambda: (loss(z), ()), variables)[2]
        import jax

        def pure(values, z):
            with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
                return loss(z)

        gradient = jax.jit(jax.grad(pure))
        values = [variable.value for variable in variables]
        return lambda: jax.block_until_ready(gradient(values, z))

    programs = {
        "flow": program(flow_loss, flow.trainable_variables),
        "convolutions": program(convolutions_loss, kernels),
    }
    for run in programs.values():
        run()
    ratios = []
    for _ in range(arguments.rounds):
        taken = {}
        for label, run in programs.items():
            start = time.perf_counter()
            for _ in range(arguments.steps):
                run()
            taken[label] = time.perf_counter() - start
        ratios.append(taken["flow"] / taken["convolutions"])
    products = sum(k * k * i * o for k, i, o in shapes) * shape[0] * shape[1]
    print(
        f"{2 * terms} convolutions of 3x3x{channels}x{channels}, and 3x3x{channels}x{hidden}, "
        f"1x1x{hidden}x{hidden}, 3x3x{hidden}x{4 * channels}: {products / 1e6:.0f} million "
        f"multiplications an image.\nOn {backend}, {os.cpu_count()} CPU cores: the flow takes "
        f"{statistics.median(ratios):.2f} times as long ({min(ratios):.2f} to {max(ratios):.2f}), "
        f"value and gradient, batches of {arguments.batch}."
    )


def main() -> None:
    parse = parser(__doc__.splitlines()[0], batch=16, steps=5, rounds=5)
    parse.add_argument("--convolutions", action="store_true", help="the flow alone")
    arguments = parse.parse_args()
    (compare_convolutions if arguments.convolutions else compare_steps)(arguments)


if __name__ == "__main__":
    main()
