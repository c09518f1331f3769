"""The hierarchical VAE as a user meets it: the network with its verbs, saved and exported."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import keras

from hvae_core.config import Config, Precision, parse_config
from hvae_core.config.resizing import config_at_size
from hvae_core.errors import BadInputError, PresetError, WeightsError
from hvae_core.evaluation.describing import as_html, in_a_line
from hvae_core.evaluation.keras_model import KerasModel
from hvae_core.evaluation.verbs import Verbs
from hvae_core.exporting import export_model
from hvae_core.files.paths import is_keras_file
from hvae_core.files.replacing import disk_errors, replacing
from hvae_core.inference.engine import Arrays, LiveEngine
from hvae_core.inference.programs import InferenceProgram
from hvae_core.weights import assign, model_arrays, weight_names
from hvae_core.weights.parameter_groups import patterns_of
from hvae_core.zoo import save_model
from hvae_core.zoo.preset import PRESET_FILE

#: what other libraries call their weights and models
_FOREIGN = (".h5", ".hdf5", ".safetensors", ".npz", ".pt", ".pth", ".ckpt", ".onnx", ".zip")


@keras.saving.register_keras_serializable("hvae", "HierarchicalVAE")
class HierarchicalVAE(Verbs, KerasModel):
    """A hierarchical VAE with L latent layers (Child 2020), built and ready to use.

    ``infer`` and ``generate`` work on tensors inside a compiled function, with their noise as an
    argument; ``elbo``, ``log_likelihood``, ``sample``, ``encode``, ``decode``, ``features``,
    ``reconstruct`` and ``interpolate`` take and give NumPy arrays.

    Args:
        config: the whole configuration; `model`, `likelihood`, `train.precision`, `train.remat` and
            `train.seed` (of the initial weights) are used.
        name: the model's name; not part of the names in weights files.
        precision: of the network, in place of `train.precision`.
    """

    def __init__(
        self, config: Config, name: str = "hvae", precision: Precision | None = None
    ) -> None:
        super().__init__(
            config.model,
            config.build_likelihood(),
            precision=precision or config.train.precision,
            remat=config.train.remat,
            seed=config.train.seed,
            name=name,
        )
        self.config = config
        #: the preset, folder or file that the model was loaded from
        self.source: str | None = None
        self._saved_to: frozenset[Path] = frozenset()

    def __repr__(self) -> str:
        """What the model is, in a line."""
        return in_a_line(self, self.source)

    def _repr_html_(self) -> str:
        """What a notebook shows of it."""
        return as_html(self, self.source)

    def config_with_frozen(self) -> Config:
        """The configuration, its ``train.freeze`` naming also what is not trainable now."""
        trainable = {name: weight.trainable for name, weight in weight_names(self).items()}
        frozen = patterns_of({name: not trains for name, trains in trainable.items()})
        values = self.config.to_dict()
        values["train"]["freeze"] = list(dict.fromkeys([*values["train"]["freeze"], *frozen]))
        return parse_config(values)

    def get_config(self) -> dict[str, Any]:
        """Plain values that `from_config` makes an equal model of, with fresh weights."""
        frozen = [name for name, weight in weight_names(self).items() if not weight.trainable]
        return {
            "name": self.name,
            "precision": self.precision,
            "config": self.config.to_dict(),
            "frozen": frozen,
        }

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> HierarchicalVAE:
        """The model that `get_config` described.

        Raises:
            ConfigError: the configuration is not valid, or a plugin is missing.
        """
        model = cls(parse_config(config["config"]), config["name"], config["precision"])
        named = weight_names(model)
        for name in config["frozen"]:
            named[name].trainable = False
        for layer in model.layers:
            if not any(weight.trainable for weight in layer.weights):
                layer.trainable = False
        return model

    def at_size(self, height: int, width: int) -> HierarchicalVAE:
        """A model of the same weights for images of another size.

        Every convolution does at each pixel what it did in training. The copy has weights of its
        own: training one of the two does not change the other.

        Args:
            height: of an image; with ``width`` so many times the coarsest scale as in training, or
                as many times more.
            width: of an image.

        Raises:
            BadInputError: a scale is pinned to its size by a learned bias or a side of 1, a flow's
                weights are those of a size, or the sides are no multiples of
                ``model.options.multiples``.
            ConfigError: the model would be too large.
        """
        config = config_at_size(self.config, height, width)
        model = HierarchicalVAE(config, self.name, self.precision)
        try:
            assign(model, model_arrays(self), "The model at its own size")
        except WeightsError as error:
            raise BadInputError(
                f"This model is of its own size alone, as some weights depend on it: "
                f"{error.message}",
                "Flows of the latent as one vector are of one size.",
            ) from error
        model.source = self.source
        return model

    def engine_at_size(self, height: int, width: int) -> HierarchicalVAE:
        """See `Verbs.engine_at_size`; one other size is kept with its compiled programs."""
        size = (height, width)
        if size == self.image_shape[:2]:
            return self
        known = self._at_another_size.get(size)
        if known is None:
            known = self.at_size(height, width)
            self._at_another_size.clear()
            self._at_another_size[size] = known
        else:
            assign(known, model_arrays(self))
        return known

    @cached_property
    def _at_another_size(self) -> dict[tuple[int, int], HierarchicalVAE]:
        return {}  # set past Keras, which would take the model in it for a part of this one

    @cached_property
    def _engine(self) -> LiveEngine:
        return LiveEngine(self)

    def run(self, program: InferenceProgram, inputs: Arrays) -> dict[str, Any]:
        """See `hvae_core.inference.engine.Engine.run`."""
        return self._engine.run(program, inputs)

    @property
    def is_eager(self) -> bool:
        """See `hvae_core.inference.engine.Engine.is_eager`."""
        return self._engine.is_eager

    def draw(self, *args: Any) -> list[Any]:
        """See `hvae_core.inference.engine.Engine.draw`."""
        return self._engine.draw(*args)

    def before_compiling(self, tell: Callable[[InferenceProgram], None] | None) -> None:
        """Have ``tell`` called with each program before it is compiled, which may take minutes."""
        self._engine.before_compiling = tell

    def save(
        self, path: str | Path, overwrite: bool = True, *, force: bool = False, **options: Any
    ) -> Path:
        """Write a preset folder: ``preset.yaml``, ``model.safetensors`` and a model card.

        Args:
            path: the folder; or a file ``NAME.keras`` with the state of the optimizer that it was
                compiled with, which `hvae.load` opens, and `keras.saving.load_model` once this
                class is imported: Keras imports no other library for a file.
            overwrite: of a file, as Keras has it.
            force: replace a preset in the folder that this model was not saved to before.
            options: of a folder, further arguments of `hvae_core.zoo.writing.write_preset`, such
                as ``figures`` and ``info``.

        Returns:
            The path.

        Raises:
            PresetError: the folder holds another preset, or other files.
            BadInputError: the name is that of a format which a model is not saved in.
        """
        target = Path(path)
        if is_keras_file(target):
            return self._save_keras_file(target, overwrite)
        if target.suffix.lower() in _FOREIGN:
            raise BadInputError(
                f"A model is not saved as {target.suffix}: {target} would be another library's "
                "file.",
                f"Save a preset folder, such as {target.stem}, or a Keras file, "
                f"{target.stem}.keras; for a runtime use model.export.",
            )
        is_own = target.resolve() in self._saved_to
        if (target / PRESET_FILE).is_file() and not (force or is_own):
            raise PresetError(
                f"{target} holds a preset already.",
                "Choose a new folder, or replace it with model.save(folder, force=True).",
            )
        save_model(self, target, **options)
        self._saved_to |= {target.resolve()}
        return target

    def _save_keras_file(self, target: Path, overwrite: bool) -> Path:
        if target.exists() and not overwrite:
            raise BadInputError(f"{target} exists already.", "Choose another name.")
        if target.is_dir():
            raise BadInputError(f"{target} is a folder; expected a file.")
        with disk_errors(f"write {target}"), replacing(target) as temporary:
            whole = temporary.with_name(f"{temporary.name}.keras")  # Keras goes by the name
            try:
                super().save(whole)
                os.replace(whole, temporary)
            finally:
                whole.unlink(missing_ok=True)
        return target

    def export(
        self, folder: str | Path, format: str = "openvino", precision: str = "float32"
    ) -> dict[str, Any]:
        """Write the model for a runtime, see `hvae_core.exporting.export_model`."""
        return export_model(self, folder, format, precision)


def load_keras_file(path: Path, precision: Precision) -> HierarchicalVAE:
    """The model that was saved as ``NAME.keras``, in this precision.

    Raises:
        BadInputError: there is no such file, or it holds another library's model.
        WeightsError: the file is damaged.
    """
    if not path.is_file():
        raise BadInputError(f"There is no file {path}.")
    try:
        model = keras.saving.load_model(path)
    except (ValueError, TypeError, OSError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise WeightsError(f"{path} cannot be read: {reason}.", "Save the model anew.") from error
    if not isinstance(model, HierarchicalVAE):
        raise BadInputError(
            f"{path} holds a {type(model).__name__}, which is no model of hvae.",
            "Open it with keras.saving.load_model.",
        )
    if model.precision != precision:
        arrays = model_arrays(model)
        model = HierarchicalVAE(model.config, precision=precision)
        assign(model, arrays, str(path))
    model.source = str(path)
    return model
