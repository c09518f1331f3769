"""The model as Keras knows models: called, predicted with, compiled, fitted, evaluated."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from inspect import signature
from typing import Any

import keras
import numpy as np
from keras import ops

from hvae_core.backends.compiling import runs_on_accelerator
from hvae_core.config import Config
from hvae_core.errors import BackendError, BadInputError, ConfigError
from hvae_core.evaluation.batches_with_noise import batches_for_evaluate, batches_for_predict
from hvae_core.inference.arguments import (
    check_batch,
    check_condition,
    check_images,
    check_inputs,
    check_seed,
    is_array,
)
from hvae_core.interfaces import Tensor
from hvae_core.interfaces.image_shapes import check_image_shape
from hvae_core.layers import dtype_policy
from hvae_core.model.network import HierarchicalNetwork
from hvae_core.prob.elbo import bits_per_dim
from hvae_core.prob.noise import Noise, draw_normal, total_size
from hvae_core.weights.parameter_groups import freeze_chosen, is_decayed

#: arguments of Keras's `compile` that say what a loss is, of which a VAE has its own
_OF_A_LOSS = ("loss", "loss_weights", "metrics", "weighted_metrics")


class KerasModel(HierarchicalNetwork):
    """What Keras's users call on a model, on JAX, TensorFlow and PyTorch alike.

    ``model(x)`` and ``predict(x)`` give the reconstruction: the mean of p(x' | z) at latents drawn
    from the posterior, the noise of each image following from a seed and its place.
    ``compile(optimizer)`` and ``fit(x)`` train the bound in Keras's own loop, with Keras's
    callbacks: one update is a batch's gradient handed to the optimizer, and nothing else. What
    `hvae.train` adds (schedules, skipped updates, averaged weights, regularizers, checkpoints to
    go on from) it does not have.
    """

    config: Config
    #: of `fit`'s noise; made by `compile`, as a model holds its weights alone until then
    training_noise: Any = None
    _computes_bound = False
    #: whether `compile` was given no optimizer
    _has_configured_optimizer = False

    def call(
        self,
        x: Tensor | Mapping[str, Tensor],
        noise: Sequence[Tensor] | None = None,
        seed: int = 0,
        training: bool | None = None,
    ) -> Tensor:
        """Reconstruct images.

        Args:
            x: images [B, H, W, C], native values in any number type. Or a mapping, as Keras hands
                on several inputs, with ``images``, and of ``noise`` [B, N], ``condition`` [B, ...]
                and ``inputs`` [B, H, W, C'] those that there are; a conditional model needs it.
            noise: standard-normal arrays [B, h, w, c], one for each latent layer, coarsest first.
            seed: of the noise, where none is given; row i's follows from the seed and i alone, and
                is the same on every backend, and the same that `reconstruct` draws.
            training: changes nothing.

        Returns:
            The expected images, float32 [B, H, W, C] in native values.

        Raises:
            BadInputError: the images are of another shape than the model's, or its encoder sees
                more than them and ``inputs`` are not given.
        """
        further: dict[str, Tensor] = {}
        if isinstance(x, Mapping):
            further = {name: x[name] for name in ("inputs", "condition") if name in x}
            if "noise" in x:
                noise = Noise.from_flat(x["noise"], self.latent_shapes).layers
            x = x["images"]
        rows, *rest = x.shape
        shape = (rows or 1, *rest)  # of any number in a graph of TensorFlow's
        check_image_shape(shape, self.image_shape, "x has", batch=True, kind=BadInputError)
        if "inputs" not in further:
            check_inputs(self, None, shape[0])
        if self._computes_bound:
            return self._bound(x, bool(training), further, noise)
        if noise is None:
            noise = Noise.from_flat(self._rows_of_noise(x, seed), self.latent_shapes).layers
        return self.likelihood.mean(self.infer(x, noise, **further).parameters)

    def compute_output_shape(self, input_shape: Any, *_: Any, **__: Any) -> tuple[int | None, ...]:
        """[B, H, W, C] of the reconstructions."""
        if isinstance(input_shape, Mapping):
            input_shape = input_shape["images"]
        return (next(iter(input_shape)), *self.image_shape)

    def compute_output_spec(self, x: Any, *_: Any, **__: Any) -> keras.KerasTensor:
        """What a functional model is told of the reconstructions."""
        shape = tree_shape(x)
        return keras.KerasTensor(self.compute_output_shape(shape), dtype="float32")

    def _rows_of_noise(self, x: Tensor, seed: int) -> Tensor:
        """[B, N], drawn by NumPy: B is a number but in a graph of TensorFlow's."""
        check_seed(seed)
        if (rows := x.shape[0]) is not None:
            return ops.convert_to_tensor(draw_normal(self.latent_shapes, int(rows), seed))
        import tensorflow as tf

        def draw(count: np.ndarray) -> np.ndarray:
            return draw_normal(self.latent_shapes, int(count), seed)

        drawn = tf.numpy_function(draw, [tf.shape(x)[0]], tf.float32)
        return tf.ensure_shape(drawn, (None, total_size(self.latent_shapes)))

    def _bound(
        self,
        x: Tensor,
        training: bool,
        further: Mapping[str, Tensor],
        noise: Sequence[Tensor] | None,
    ) -> dict[str, Tensor]:
        """The bound's parts, [B] in nats, with noise that is given or new in each update."""
        if noise is None:
            seed = self.training_noise if training else self.initial_seed
            shape = (ops.shape(x)[0], total_size(self.latent_shapes))
            flat = keras.random.normal(shape, dtype="float32", seed=seed)
            noise = Noise.from_flat(flat, self.latent_shapes).layers
        if training and "condition" in further:
            further = {**further, "condition": self._with_nulls(further["condition"])}
        out = self.infer(x, noise, **further)
        return {"log_likelihood": out.log_likelihood, "kl": out.kl}

    def _with_nulls(self, condition: Tensor) -> Tensor:
        """Conditions [B, ...], of which ``model.condition.dropout`` became the null condition."""
        values = self.condition_values
        if values is None or not values.has_null:
            return condition
        rows = (ops.shape(condition)[0], *[1] * len(values.shape))
        drawn = keras.random.uniform(rows, dtype="float32", seed=self.training_noise)
        null = ops.cast(ops.convert_to_tensor(values.nulls(1)), condition.dtype)
        return ops.where(drawn < values.dropout, null, condition)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: str | int = "auto",
        steps: int | None = None,
        callbacks: Any = None,
        seed: int = 0,
    ) -> np.ndarray:
        """Reconstruct images batch by batch: ``model(x)``, whatever the size of the batches.

        Args:
            x: images [B, H, W, C], or what Keras takes for batches of them (a
                `keras.utils.PyDataset`, a `tf.data.Dataset`, PyTorch's loader, a generator); what a
                batch holds beside its images is left out. Of a conditional model a mapping with
                ``images``, ``condition`` as `ConditionValues.encode` takes it, and ``inputs``.
            batch_size: of an array, by default 32.
            verbose: see `keras.Model.predict`.
            steps: so many batches.
            callbacks: Keras's.
            seed: of the noise; an image's follows from the seed and its place in ``x``.

        Returns:
            float32 [B, H, W, C] in native values.

        Raises:
            BadInputError: these are no images of the model's shape.
        """
        batches = batches_for_predict(self, x, batch_size, check_seed(seed))
        if steps is None and isinstance(batches, Iterator):
            with suppress(TypeError):  # of unknown length
                steps = len(x)
        return super().predict(batches, verbose=verbose, steps=steps, callbacks=callbacks)

    def compile(self, optimizer: Any = None, **options: Any) -> None:
        """Make ready for `fit` and `evaluate`; the loss is the negative bound.

        The weights that ``train.freeze`` names are not trainable from then on.

        Args:
            optimizer: Keras's, or a name of one; by default the configuration's, with its constant
                learning rate, weight decay and ``clip_norm``.
            options: further ones of `keras.Model.compile` that say nothing of a loss.

        Raises:
            BadInputError: a loss or metrics are given.
            ConfigError: ``train.freeze`` names no weight of the model.
            BackendError: the backend is OpenVINO, which trains nothing.
        """
        for name in _OF_A_LOSS:
            if options.pop(name, None) is not None:
                raise BadInputError(
                    f"compile was given {name}, but a hierarchical VAE is trained by its bound.",
                    f"Leave out {name}; the bound and its parts are the metrics.",
                )
        if keras.config.backend() == "openvino":
            raise BackendError(
                "The backend 'openvino' runs models but cannot train them: it has no gradients.",
                "Choose another before Keras is imported, such as KERAS_BACKEND=torch.",
            )
        on_cpu = keras.config.backend() == "tensorflow" and not runs_on_accelerator()
        if on_cpu:  # XLA pays on accelerators
            options.setdefault("jit_compile", False)
        freeze_chosen(self, self.config.train.freeze)
        self._has_configured_optimizer = optimizer is None
        with dtype_policy("float32"):
            self._add_training_state()
            super().compile(
                optimizer=self._configured_optimizer() if optimizer is None else optimizer,
                **options,
            )

    def _add_training_state(self) -> None:
        if self.training_noise is not None:
            return
        names = ["elbo", "log_likelihood", "kl"]
        if self.likelihood.unit == "bits/dim":
            names.append("bits_per_dim")
        self._tracker.unlock()
        self.training_noise = keras.random.SeedGenerator(self.initial_seed, name="noise")
        self.bound_metrics = [keras.metrics.Mean(name=name) for name in names]
        self._tracker.lock()

    def save_own_variables(self, store: Any) -> None:
        """Keep the place in the noise of `fit` as well, which Keras leaves out of its files."""
        if self.training_noise is not None:
            store["training_noise"] = ops.convert_to_numpy(self.training_noise.state.value)

    def load_own_variables(self, store: Any) -> None:
        """See `save_own_variables`; all weights are of layers, which keep their own."""
        if self.training_noise is not None and "training_noise" in store.keys():  # noqa: SIM118
            self.training_noise.state.assign(np.asarray(store["training_noise"]))

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """See `keras.Model.compile_from_config`."""
        self.compile(**keras.saving.deserialize_keras_object(dict(config)))
        self.optimizer.build(self.trainable_variables)

    def _configured_optimizer(self) -> Any:
        train = self.config.train
        optimizer = train.optimizer.build(train.optimizer_settings)
        fixed = [v for v in self.trainable_variables if not is_decayed(v)]
        if train.weight_decay and fixed and not train.decay_all_weights:
            optimizer.exclude_from_weight_decay(var_list=fixed)
        if train.clip_norm is not None:
            optimizer.global_clipnorm = train.clip_norm
        return optimizer

    def fit(self, x: Any = None, *args: Any, **options: Any) -> Any:
        """Train the bound in Keras's own loop, without free bits, see `keras.Model.fit`.

        The figures are ``loss`` (``train.beta`` KL + distortion in nats per dimension), ``elbo``,
        ``log_likelihood`` and ``kl`` in nats an image, and ``bits_per_dim`` where the likelihood's
        unit is that.

        Args:
            x: images [N, H, W, C], or batches of them as Keras takes them; no targets.
            args: see `keras.Model.fit`.
            options: the same.

        Raises:
            ConfigError: the configuration has a regularizer, another objective than the bound, or
                groups of weights for its optimizer, which only `hvae.train` has.
            BadInputError: these are no images of the model's shape, or there are targets.
        """
        if self.config.regularizer is not None:
            raise ConfigError(
                f"fit cannot train with the regularizer {self.config.regularizer.name!r}.",
                "Train with hvae.train(model, output), or set the regularizer to none.",
            )
        if (objective := self.config.train.objective) != "evidence":
            raise ConfigError(
                f"fit trains the bound, and train.objective is {objective}.",
                "Train with hvae.train(model, output), or set train.objective to evidence.",
            )
        if self.config.train.parameter_groups and self._has_configured_optimizer:
            raise ConfigError(
                "fit cannot train with train.parameter_groups, as the configuration's optimizer "
                "would have to.",
                "Train with hvae.train(model, output), or give compile an optimizer of yours.",
            )
        given = signature(super().fit).bind_partial(self._checked(x), *args, **options).arguments
        self._hold_out(given)
        if (held_out := given.get("validation_data")) is not None:
            held_out, *targets = held_out if isinstance(held_out, tuple | list) else (held_out,)
            size = given.get("validation_batch_size") or given.get("batch_size")
            given["validation_data"] = self._evaluated(
                held_out, size, given.get("validation_steps"), targets
            )
        return super().fit(**given)

    @staticmethod
    def _hold_out(given: dict[str, Any]) -> None:
        """Turn ``validation_split`` into ``validation_data``, as Keras does."""
        x, part = given["x"], given.get("validation_split")
        if not part or given.get("validation_data") is not None or given.get("y") is not None:
            return
        arrays = x if isinstance(x, Mapping) else {"images": x}
        if not is_array(arrays["images"]):
            return  # Keras refuses it
        count = len(arrays["images"])
        end = math.floor(count * (1.0 - part))
        if 0 < end < count:
            given["x"], given["validation_data"] = (
                {name: array[rows] for name, array in arrays.items()}
                if isinstance(x, Mapping)
                else x[rows]
                for rows in (slice(end), slice(end, None))
            )
            del given["validation_split"]

    def evaluate(self, x: Any = None, *args: Any, **options: Any) -> Any:
        """The figures of `fit` on images, see `keras.Model.evaluate`; `hvae.evaluate` has more.

        An image's noise follows from the model's initial seed and its place in ``x``, whatever the
        batches are: it is that of ``model.elbo(x, seed=model.initial_seed)``.

        Raises:
            BadInputError: the model is not compiled, these are no images of its shape, or there
                are targets.
        """
        if not self.compiled:
            instead = "Call model.compile() first; hvae.evaluate(model, dataset=x) needs none."
            raise BadInputError("The model is not compiled, which evaluate needs.", instead)
        if options.get("_use_cached_eval_dataset"):  # what `fit` has made ready
            return super().evaluate(x, *args, **options)
        given = signature(super().evaluate).bind_partial(x, *args, **options).arguments
        given.update(given.pop("kwargs", {}))
        targets = given.pop("y", None), given.pop("sample_weight", None)
        size, steps = given.pop("batch_size", None), given.get("steps")
        given["x"] = self._evaluated(x, size, steps, targets)
        return super().evaluate(**given)

    def _evaluated(
        self, x: Any, batch_size: int | None, steps: int | None, targets: Sequence[Any]
    ) -> Any:
        """What is evaluated, with the noise that each image owns."""
        if any(target is not None for target in targets):
            raise _targets_given()
        if isinstance(x, Mapping) or is_array(x):
            self._checked(x)
        return batches_for_evaluate(self, x, batch_size, self.initial_seed, steps)

    def _checked(self, x: Any) -> Any:
        if isinstance(x, Mapping):
            batch = check_batch(self, x["images"], x.get("condition"), x.get("inputs"))
            images = self.image_values.to_tensor_dtype(batch.images)
            return {**batch.named(), "images": images}
        if not is_array(x):
            return x
        if self.condition_values is not None:
            check_condition(self, None, len(x))
            raise BadInputError(
                "The model is conditional, and images alone are given.",
                'Give {"images": x, "condition": labels}.',
            )
        check_inputs(self, None, len(x))
        return self.image_values.to_tensor_dtype(check_images(self, x))

    @contextmanager
    def _computing_bound(self) -> Iterator[None]:
        self._computes_bound = True
        try:
            yield
        finally:
            self._computes_bound = False

    def train_step(self, *args: Any) -> Any:
        """Keras's own step, of the bound: ``(data)``, on JAX ``(state, data)``."""
        with self._computing_bound():
            return super().train_step(*args)

    def test_step(self, *args: Any) -> Any:
        """As `train_step`."""
        with self._computing_bound():
            return super().test_step(*args)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """The negative bound in nats per dimension, its rate times ``train.beta``."""
        if y is not None or sample_weight is not None:
            raise _targets_given()
        nats = self.config.train.beta * y_pred["kl"] - y_pred["log_likelihood"]
        return ops.mean(nats) / math.prod(self.image_shape)

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """The mean bound and its parts, of all batches of the epoch so far."""
        elbo = y_pred["log_likelihood"] - y_pred["kl"]
        figures = {**y_pred, "elbo": elbo, "bits_per_dim": bits_per_dim(elbo, self.image_shape)}
        for metric in self.bound_metrics:
            metric.update_state(figures[metric.name])
        return self.get_metrics_result()


def _targets_given() -> BadInputError:
    return BadInputError(
        "The data have targets or weights beside the images, which a VAE has no use for.",
        "Give the images alone: model.fit(x).",
    )


def tree_shape(x: Any) -> tuple[int | None, ...]:
    """The shape of the images in what a model is called with."""
    return tuple((x["images"] if isinstance(x, Mapping) else x).shape)
