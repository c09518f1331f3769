"""The training step: one code path on JAX, TensorFlow and PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from hvae_core.backends.allocation import keep_freed_memory
from hvae_core.backends.compiling import (
    Program,
    compiled,
    compiles_programs,
    snapshot,
    standing_in,
)
from hvae_core.backends.devices import constrain_rows, replicate, shard, sharded_normal
from hvae_core.backends.gradients import gradient_of
from hvae_core.backends.processes import mean_over_processes, own_rows, process_count
from hvae_core.config import TrainConfig
from hvae_core.errors import ConfigError, WeightsError
from hvae_core.inference.rows import pad_rows
from hvae_core.interfaces import Batch, Regularizer, Tensor
from hvae_core.model.network import HierarchicalNetwork
from hvae_core.prob.noise import Noise, draw_normal, fold_seed, total_size
from hvae_core.training.joined import Place, read, write
from hvae_core.training.objective import Loss, Objective
from hvae_core.training.optimizer import Updater
from hvae_core.training.partial_posterior import PartialPosterior, freeze_all_but_encoder
from hvae_core.weights import assign, model_arrays, weight_names
from hvae_core.weights.parameter_groups import freeze_chosen


def build_step(
    network: HierarchicalNetwork,
    config: TrainConfig,
    regularizer: Regularizer | None = None,
    skip_start: int | None = None,
) -> TrainStep:
    """The step that the training options describe.

    Args:
        network: its weights are changed.
        config: the training options.
        regularizer: a further term of the loss.
        skip_start: the first update that ``train.skip_norm`` may skip; None:
            ``train.skip_start_step``, or the first of all, as nothing here knows of epochs.

    Raises:
        ConfigError: ``freeze`` or a group names no weight, or nothing is left to train;
            ``compile`` is ``inductor`` where there is none.
    """
    if keras.config.backend() == "torch":
        keep_freed_memory()
    check_compiling(config)
    freeze(network, config.freeze, config.objective)
    objective: Objective | PartialPosterior
    if config.objective == "partial-posterior":
        objective = PartialPosterior.of(network)
    else:
        objective = Objective(
            network,
            regularizer,
            balances=bool(config.kl_balancing_steps),
            scaled=config.kl_balancing_scaled,
            free_bits=config.free_bits,
        )
    joins = config.optimizer.spec.elementwise and compiles_programs()
    updater = Updater(config, network.trainable_variables, skip_start, joins)
    return TrainStep(network, objective, updater, config)


def check_compiling(config: TrainConfig) -> None:
    """Refuse ``compile: inductor`` where there is none.

    Raises:
        ConfigError: the backend is not PyTorch, or several processes train together.
    """
    if config.compile != "inductor":
        return
    backend = keras.config.backend()
    if backend != "torch":
        raise ConfigError(
            f"train.compile is inductor, which is PyTorch's; the backend is {backend}.",
            "Set it to true, or choose PyTorch with: hvae --backend torch",
        )
    if process_count() > 1:
        raise ConfigError(
            "train.compile is inductor, which takes one process.", "Set train.compile to true."
        )


def freeze(
    network: HierarchicalNetwork, patterns: Sequence[str], objective: str = "evidence"
) -> None:
    """Take the weights that the patterns of ``train.freeze`` name out of training.

    With the objective ``partial-posterior`` those that it holds fixed, too.

    Raises:
        ConfigError: one names no weight, or nothing is left to train.
    """
    freeze_chosen(network, patterns)
    if objective == "partial-posterior":
        freeze_all_but_encoder(network)
    if not network.trainable_variables:
        raise ConfigError("train.freeze names all weights; nothing is left to train.")


def _recording(config: TrainConfig) -> Literal["replay", "inductor"] | None:
    """Whether PyTorch records the gradient, see `gradient_of`."""
    # processes exchange figures within the loss, which a recorded graph would not
    if keras.config.backend() != "torch" or not config.compile or process_count() > 1:
        return None
    return "inductor" if config.compile == "inductor" else "replay"


class TrainStep:
    """One update of a model, compiled.

    Args:
        network: its weights are changed.
        objective: the loss.
        updater: the update rule.
        config: gives ``seed`` (of the noise), ``accumulate``, ``kl_balancing_steps``, ``compile``.
    """

    def __init__(
        self,
        network: HierarchicalNetwork,
        objective: Objective | PartialPosterior,
        updater: Updater,
        config: TrainConfig,
    ) -> None:
        self.network, self.objective, self.updater = network, objective, updater
        self.config = config
        self.noise_size = total_size(network.latent_shapes)
        self.copies = objective.copies
        self._fixed = [v for v in network.variables if not v.trainable] + objective.variables
        self._divergences: Callable[..., Tensor] | None = None
        self._are_joined = False
        self._gradients = gradient_of(
            self._loss, updater.trained, self._fixed, record=_recording(config)
        )
        self._program = Program(self._step, self._variables, bool(config.compile))

    @property
    def _variables(self) -> list[keras.Variable]:
        return [*self.updater.trained, *self._fixed, *self.updater.variables]

    def _loss(
        self, batch: Mapping[str, Tensor], noise: Tensor, beta: Tensor, balanced: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        drawn = Noise.from_flat(noise, self.network.latent_shapes)
        values = self.updater.values()
        others = [(fixed, fixed.value) for fixed in self._fixed] if values else []
        with standing_in([*values, *others]):
            loss: Loss = self.objective(Batch(**batch), drawn, beta, balanced)
        return loss.total, loss.terms

    def _step(
        self,
        batch: Mapping[str, Tensor],
        noise: Tensor,
        step: Tensor,
        learning_rate: Tensor,
        beta: Tensor,
    ) -> dict[str, Tensor]:
        count = self.config.accumulate
        balanced = step < self.config.kl_balancing_steps
        total: list[Tensor] | None = None
        figures: dict[str, Tensor] = {}
        for part in range(count):
            own = {name: self._micro_batch(rows, part) for name, rows in batch.items()}
            drawn = self._micro_batch(noise, part)
            loss, terms, gradients = self._gradients(own, drawn, beta, balanced)
            if total is None:
                total, figures = list(gradients), {"loss": loss, **terms}
            else:
                total = [a + b for a, b in zip(total, gradients, strict=True)]
                new = {"loss": loss, **terms}
                figures = {key: value + new[key] for key, value in figures.items()}
        assert total is not None
        if count > 1:
            total = [gradient / count for gradient in total]
            figures = {key: value / count for key, value in figures.items()}
        names = list(figures)
        shared = mean_over_processes([*total, *(figures[name] for name in names)])
        total, figures = shared[: len(total)], dict(zip(names, shared[len(total) :], strict=True))
        finite = ops.isfinite(figures["loss"])
        norm, applied = self.updater.apply(total, step, learning_rate, finite)
        figures["gradient_norm"] = norm
        figures["skipped"] = 1.0 - ops.cast(applied, "float32")
        is_finite = ops.logical_and(finite, ops.isfinite(norm))
        figures["nonfinite"] = 1.0 - ops.cast(is_finite, "float32")
        return figures

    def _micro_batch(self, rows: Tensor, part: int) -> Tensor:
        """A part of the batch: so many of its images, then their copies in the same order."""
        count = rows.shape[0] // (self.config.accumulate * self.copies)
        starts = range(part * count, rows.shape[0], rows.shape[0] // self.copies)
        cuts = [rows[start : start + count] for start in starts]
        return constrain_rows(cuts[0] if len(cuts) == 1 else ops.concatenate(cuts, axis=0))

    def __call__(
        self,
        batch: Batch | np.ndarray,
        *,
        step: int,
        learning_rate: float,
        beta: float,
        noise: np.ndarray | None = None,
    ) -> dict[str, Tensor]:
        """One update.

        Args:
            batch: native values [B, H, W, C], with a regularizer its `Regularizer.views` of B
                images; or a `Batch` of them.
            step: number of this update, from 0; with ``train.seed`` it decides the noise.
            learning_rate: of this update.
            beta: weight of the KL.
            noise: standard-normal numbers of all layers, a row [N] for each of the images, as
                `Noise.from_flat` divides them, in place of the seeded ones.

        Returns:
            Scalars, still on the device: loss, distortion, rate and, if there is one, regularizer
            (nats/dim), gradient_norm, skipped and nonfinite (0 or 1); and kl_per_layer [L] in
            nats. Distortion, rate and kl_per_layer are of the images without their copies.
        """
        if not self._are_joined:
            self.updater.join()
            self._are_joined = True
        batch = Batch.of(batch)
        arrays = batch.named()
        arrays["images"] = self.network.image_values.to_tensor_dtype(batch.images)
        # of each micro-batch, and of each of its copies
        own = partial(own_rows, groups=self.config.accumulate * self.copies)
        return self._program(
            {name: shard(own(array)) for name, array in arrays.items()},
            own(self._draw(len(batch), step)) if noise is None else shard(own(noise)),
            replicate(step, "int32"),
            replicate(learning_rate, "float32"),
            replicate(beta, "float32"),
        )

    def _draw(self, rows: int, step: int) -> Tensor:
        """The noise of an update [rows, N]; that of the images is the same with copies or not."""
        seed, shape = self.config.seed, (rows // self.copies, self.noise_size)
        noise = sharded_normal(shape, fold_seed(seed, step))
        if self.copies == 1:
            return noise
        others = range(1, self.copies)
        regularizer = self.objective.regularizer
        if regularizer is not None and regularizer.shares_noise:
            drawn = [noise for _ in others]
        else:
            drawn = [sharded_normal(shape, fold_seed(seed, step, c)) for c in others]
        return ops.concatenate([noise, *drawn], axis=0)

    def validate(self, batches: Iterable[Batch], seed: int) -> dict[str, float]:
        """Figures of the objective on held-out images, beside those of any model.

        Args:
            batches: of the images, of one size but for a smaller last one.
            seed: of the noise; image ``i`` of the whole sequence has noise of its own.

        Returns:
            With ``train.objective: partial-posterior`` the mean ``posterior_kl`` in nats.
        """
        objective = self.objective
        if not isinstance(objective, PartialPosterior):
            return {}
        self.sync()
        if self._divergences is None:
            shapes = self.network.latent_shapes

            def divergences(batch: Mapping[str, Tensor], noise: Tensor) -> Tensor:
                return objective.divergences(Batch(**batch), Noise.from_flat(noise, shapes))

            variables = [*self.network.variables, *objective.variables]
            self._divergences = compiled(divergences, variables)
        total, size, start = 0.0, 0, 0
        for batch in batches:
            size = max(size, len(batch))
            named = {name: pad_rows(array, size) for name, array in batch.named().items()}
            named["images"] = self.network.image_values.to_tensor_dtype(named["images"])
            noise = draw_normal(self.network.latent_shapes, size, seed, start)
            found = self._divergences(
                {name: ops.convert_to_tensor(array) for name, array in named.items()},
                ops.convert_to_tensor(noise),
            )
            total += float(ops.convert_to_numpy(found)[: len(batch)].sum())
            start += len(batch)
        return {"posterior_kl": total / max(1, start)}

    def sync(self) -> None:
        """Bring the model's weights up to date; they may then be read or changed."""
        self._program.sync()
        if self._are_joined:
            self.updater.part()
            self._are_joined = False

    def _state_places(self) -> dict[str, Place]:
        named = {f"optimizer.{index}": place for index, place in enumerate(self.updater.state)}
        averages = zip(self._names(), self.updater.average_places, strict=False)
        named |= {f"ema.{name}": place for name, place in averages}
        state = self.objective.state.items()
        return named | {f"teacher.{name}": Place.whole(variable) for name, variable in state}

    def _names(self) -> list[str]:
        names = {id(variable): name for name, variable in weight_names(self.network).items()}
        return [names[id(variable)] for variable in self.updater.weights]

    def state(self) -> dict[str, np.ndarray]:
        """Optimizer and averaged weights by name, as a checkpoint keeps them."""
        self._program.sync()
        return read(self._state_places())

    @staticmethod
    def read(figures: Mapping[str, Tensor]) -> dict[str, Any]:
        """The figures of an update as floats, and arrays where they have axes."""
        arrays = {key: np.asarray(ops.convert_to_numpy(value)) for key, value in figures.items()}
        return {key: value if value.ndim else value.tolist() for key, value in arrays.items()}

    def weights(self) -> dict[str, np.ndarray]:
        """The weights being trained, by name."""
        if process_count() == 1:
            self.sync()
            return model_arrays(self.network)
        # One of several processes may ask alone, and assigns nothing without the others.
        self._program.sync()
        arrays = model_arrays(self.network)
        if self._are_joined:
            arrays |= read(dict(zip(self._names(), self.updater.weight_places, strict=True)))
        return arrays

    def load(
        self, weights: Mapping[str, np.ndarray], state: Mapping[str, np.ndarray], source: str
    ) -> None:
        """Take back what `weights` and `state` gave.

        Args:
            weights: of the model.
            state: of the optimizer, and the averages.
            source: where they come from, for the message.

        Raises:
            WeightsError: the names or shapes are another model's.
        """
        self.sync()
        assign(self.network, weights, source)
        self.load_state(state)

    def load_state(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take back what `state` gave.

        Raises:
            WeightsError: the names or shapes are another model's.
        """
        self.sync()
        named = self._state_places()
        wrong = [
            name
            for name, place in named.items()
            if name not in arrays or tuple(arrays[name].shape) != place.shape
        ]
        if wrong or len(arrays) != len(named):
            odd = wrong[0] if wrong else next(iter(set(arrays) - set(named)))
            raise WeightsError(
                f"The checkpoint's optimizer state does not fit this configuration ({odd}).",
                "Resume with the configuration the run was started with.",
            )
        write(named, arrays)
        self.objective.restored()

    @contextmanager
    def ema_weights(self) -> Iterator[None]:
        """Inside, the model holds the averaged weights; without EMA, the weights themselves."""
        self.sync()
        places = self.updater.average_places
        weights = self.updater.weights if places else []
        kept = [snapshot(weight) for weight in weights]
        averages = read(dict(enumerate(places)))
        for weight, average in zip(weights, averages.values(), strict=True):
            weight.assign(average)
        try:
            yield
        finally:
            for weight, value in zip(weights, kept, strict=True):
                weight.assign(value)
