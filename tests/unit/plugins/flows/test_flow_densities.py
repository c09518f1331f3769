"""The densities that flows make, by quadrature, by Monte-Carlo and after hard training."""

import keras
import numpy as np
import pytest
from keras import ops

import hvae_core as hvae
from hvae_core.backends.compiling import Program, compiled, value_and_grad
from hvae_core.plugins.testing.autodiff import jacobian_of

FLOWS = {
    "orthogonal": ("flow.sylvester", {"flows": 2, "orthogonal_vectors": 2}),
    "householder": ("flow.sylvester", {"variant": "householder", "flows": 2, "reflections": 2}),
    "triangular": ("flow.sylvester", {"variant": "triangular", "flows": 2}),
    "conv": ("flow.conv-sylvester", {"channels": 8, "repeats": 2}),
    "planar": ("flow.planar", {"flows": 3}),
    "iaf": ("flow.iaf", {"flows": 2, "hidden": 8}),
    "one conv": ("flow.conv-sylvester", {"channels": 8, "levels": 1}),
}


def make(name, shape, seed=1, scale=0.5):
    component, options = FLOWS[name]
    flow = hvae.create(component, options, latent_shape=shape)
    flow.build()
    rng = np.random.default_rng(seed)
    for weight in flow.weights:
        weight.assign(rng.normal(0, scale, weight.shape).astype("f"))
    ask = flow.config.context_channels if hasattr(flow, "config") else options_context(component)
    context = rng.normal(size=(1, *shape[:2], ask)).astype("f")
    return flow, context


def options_context(component):
    from hvae_core.config import create_component

    return create_component("flow", {"name": component.partition(".")[2]}).options.context_channels


def to_numpy(x):
    return np.asarray(ops.convert_to_numpy(x), np.float64)


def normal_log_prob(z):
    return -0.5 * (z**2).sum(-1) - 0.5 * z.shape[-1] * np.log(2 * np.pi)


@pytest.mark.parametrize("name", FLOWS)
def test_a_density_in_two_dimensions_integrates_to_one(name):
    # exponentials of large weights would carry mass out of the grid
    flow, context = make(name, (1, 1, 2), scale=0.2 if name == "iaf" else 0.5)
    side = np.linspace(-12, 12, 401)
    grid = np.stack(np.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 2)
    repeated = ops.convert_to_tensor(np.broadcast_to(context, (len(grid), *context.shape[1:])))
    points = ops.convert_to_tensor(grid.astype("f").reshape(-1, 1, 1, 2))
    back = compiled(flow.inverse, flow.variables)(points, repeated)
    log_q = normal_log_prob(to_numpy(back.z).reshape(-1, 2)) - to_numpy(back.log_det)
    cell = (side[1] - side[0]) ** 2
    assert abs((np.exp(log_q) * cell).sum() - 1) < 1e-4
    # KL to a standard normal, by quadrature and by draws
    kl = (np.exp(log_q) * (log_q - normal_log_prob(grid)) * cell).sum()
    draws = np.random.default_rng(0).normal(size=(40000, 1, 1, 2)).astype("f")
    repeated = ops.convert_to_tensor(np.broadcast_to(context, (len(draws), *context.shape[1:])))
    forward = compiled(flow.forward, flow.variables)
    out = forward(ops.convert_to_tensor(draws), repeated)
    z = to_numpy(out.z).reshape(-1, 2)
    estimates = (
        normal_log_prob(draws.reshape(-1, 2).astype("d"))
        - to_numpy(out.log_det)
        - normal_log_prob(z)
    )
    error = estimates.std() / np.sqrt(len(estimates))
    assert abs(estimates.mean() - kl) < 4 * error
    assert kl > 0.01, "a flow that does nothing shows nothing"


def train_hard(flow, context, target, steps, rate):
    """Minimise KL(flow(N(0, I)) || N(0, target^-1)) with a rate that looks for any weak spot."""
    shape = (16, *context.shape[1:-1], len(target) // np.prod(context.shape[1:-1]))
    optimizer = keras.optimizers.Adam(rate)
    variables = flow.trainable_variables
    optimizer.build(variables)
    rng = np.random.default_rng(0)
    given = ops.convert_to_tensor(np.broadcast_to(context, (16, *context.shape[1:])).copy())
    precision_matrix = ops.convert_to_tensor(target.astype("f"))

    def loss_of(noise):
        out = flow.forward(noise, given)
        z = ops.reshape(out.z, (16, -1))
        energy = 0.5 * ops.sum(z * ops.matmul(z, precision_matrix), axis=-1)
        return ops.mean(energy - out.log_det)

    def apply(noise):
        gradients = value_and_grad(lambda: (loss_of(noise), ()), variables)[2]
        optimizer.apply(gradients, variables)

    update = Program(apply, [*variables, *optimizer.variables], compile=True)
    for _ in range(steps):
        update(ops.convert_to_tensor(rng.normal(size=shape).astype("f")))
    update.sync()


@pytest.mark.every_backend
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "steps"),
    # Each takes long and is run once: where an update is quick, or where nothing is compiled.
    [("orthogonal", 3000), ("one conv", 1500)]
    if keras.config.backend() == "jax"
    else [("conv", 50)]
    if keras.config.backend() == "torch"
    else [],
)
def test_no_training_makes_the_kl_negative(name, steps):
    """A log_det that is not the map's would be found: the earlier port's KL fell to -243."""
    shape = (4, 4, 2)
    flow, context = make(name, shape, scale=0.1)
    size = 32
    rng = np.random.default_rng(0)
    root = rng.normal(size=(size, size)) / np.sqrt(size) + np.eye(size)
    target = root @ root.T  # the target's precision
    train_hard(flow, context, target, steps, rate=2e-2)
    draws = rng.normal(size=(2000, *shape)).astype("f")
    given = ops.convert_to_tensor(np.broadcast_to(context, (2000, *context.shape[1:])).copy())
    out = compiled(flow.forward, flow.variables)(ops.convert_to_tensor(draws), given)
    z, log_det = to_numpy(out.z).reshape(-1, size), to_numpy(out.log_det)
    assert np.isfinite(z).all()
    log_p = 0.5 * np.linalg.slogdet(target)[1] - 0.5 * (z * (z @ target)).sum(-1)
    log_q = -0.5 * (draws.reshape(-1, size).astype("d") ** 2).sum(-1) - log_det
    kl = log_q - log_p
    assert kl.mean() + 4 * kl.std() / np.sqrt(len(kl)) >= 0
    one = ops.convert_to_tensor(context)
    ratios, jacobian = [], jacobian_of(lambda x: flow.forward(x, one).z, flow.variables)
    for row in range(8):
        sign, expected = np.linalg.slogdet(jacobian(draws[row : row + 1]))
        assert sign == 1
        assert abs(expected - log_det[row]) < 1e-3
        ratios.append(np.exp(expected - log_det[row]))
    assert abs(np.mean(ratios) - 1) < 1e-3


#: D, and the sizes of w and u: rounding w^T u is more than planar's margin
LARGE = [(128, 1.0, 20.0), (512, 1.0, 5.0), (4096, 1.0, 5.0), (4096, 0.5, 1.0), (4, 0.3, 40.0)]


@pytest.mark.parametrize(("size", "inward", "outward"), LARGE)
def test_planar_is_invertible_however_large_its_vectors_are(size, inward, outward):
    """Where w^T u would be far below -1, and at tanh = 0, where its slope counts whole."""
    rng, rows = np.random.default_rng(0), 64
    w = rng.normal(0, inward, (rows, size)).astype("f")
    u = (rng.normal(0, outward, (rows, size)) - outward * w).astype("f")
    z = rng.normal(size=(rows, size)).astype("f")
    options = {"flows": 1, "context_channels": rows}
    flow = hvae.create("flow.planar", options, latent_shape=(1, 1, size))
    flow.build()
    # Each row's context chooses its own.
    heads = (flow.outward, u), (flow.inward, w), (flow.shifts, -(w * z).sum(-1, keepdims=True))
    for head, values in heads:
        head.kernel.assign(values)
    context = ops.convert_to_tensor(np.eye(rows, dtype="f").reshape(rows, 1, 1, rows))
    found, _, _, alignment = (to_numpy(v) for v in flow._amortised(context))
    exact = (found[:, 0] * w.astype(np.float64)).sum(-1)
    assert exact.min() > -1.0
    # The slope at tanh = 0, whose logarithm is log_det.
    np.testing.assert_allclose(1 + alignment[:, 0], 1 + exact, rtol=0.2)
    out = flow.forward(ops.convert_to_tensor(z.reshape(rows, 1, 1, size)), context)
    assert np.isfinite(to_numpy(out.log_det)).all()
    assert np.isfinite(to_numpy(flow.inverse(out.z, context).z)).all()
