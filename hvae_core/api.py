"""The public functions: load, build, create, evaluate, train, list presets.

Importing this module imports no Keras; a function that needs it selects the backend first.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hvae_core.backends.processes import join_processes
from hvae_core.backends.selection import select_backend, select_training_backend
from hvae_core.errors import BadInputError, did_you_mean
from hvae_core.exported.manifest import is_export_folder
from hvae_core.files.paths import is_keras_file
from hvae_core.zoo.finding import (
    find_configuration,
    find_weights_file,
    find_with_weights,
    list_presets,
)
from hvae_core.zoo.preset import Preset

if TYPE_CHECKING:
    from hvae_core.config import Config, ModelConfig, Overrides, Precision
    from hvae_core.exported import ExportedModel
    from hvae_core.interfaces import Dataset, Mode
    from hvae_core.runs.state import TrainResult
    from hvae_core.vae import HierarchicalVAE

__all__ = [
    "build",
    "create",
    "evaluate",
    "join_processes",
    "list_presets",
    "load",
    "load_exported",
    "load_runnable",
    "train",
]


def load(
    source: str | Path | Preset,
    *,
    backend: str | None = None,
    precision: Precision = "float32",
    allow_nonfinite: bool = False,
) -> HierarchicalVAE:
    """A trained model. The network is never touched.

    Args:
        source: see `hvae_core.zoo.finding.find_source`; or a file ``NAME.keras``.
        backend: jax, tensorflow, torch or openvino, where Keras is not imported yet.
        precision: float32 whatever the model was trained in, so that its figures are those of any
            backend and machine; mixed_bfloat16 is faster on accelerators (not on OpenVINO).
        allow_nonfinite: take weights that are NaN or infinite too, to look into them.

    Raises:
        PresetError: it has no weights here; the message says how to get them.
        WeightsError: the weights are damaged, another model's or not finite.
    """
    if not isinstance(source, Preset) and is_export_folder(source):
        raise BadInputError(
            f"{source} is an exported model, not a preset.", "Open it with hvae.load_exported."
        )
    select_backend(backend)
    if not isinstance(source, Preset) and is_keras_file(source):
        from hvae_core.vae import load_keras_file

        return load_keras_file(Path(source), precision)
    config, weights = find_with_weights(source)
    from hvae_core.vae import HierarchicalVAE
    from hvae_core.weights import load_weights, read_header
    from hvae_core.weights.announced import check_announced

    check_announced(config, read_header(weights), str(weights))
    model = HierarchicalVAE(config, precision=precision)
    load_weights(model, weights, allow_nonfinite=allow_nonfinite)
    model.source = source.name if isinstance(source, Preset) else str(source)
    return model


def load_exported(folder: str | Path, mode: Mode = "latency") -> ExportedModel:
    """A model that ``hvae export`` wrote, in its own runtime; no Keras.

    Args:
        folder: the export folder.
        mode: ``latency``: a batch has all cores; ``throughput``: it is divided among them.

    Raises:
        BadInputError: the folder is no export, or damaged.
    """
    from hvae_core.exported import load_exported as run

    return run(folder, mode)


def load_runnable(source: str | Path, mode: Mode | None = None) -> HierarchicalVAE | ExportedModel:
    """What draws and encodes: an export folder in its own runtime, or else a model.

    Args:
        source: an export folder, or what `load` takes.
        mode: of an exported model; None: latency.

    Raises:
        BadInputError: ``mode`` is given and it is no export folder.
        HvaeError: see `load` and `load_exported`.
    """
    if is_export_folder(source):
        return load_exported(source, mode or "latency")
    if mode is not None:
        raise BadInputError(
            f"{source} is no exported model, which the mode is for.",
            "Export it first with: hvae export",
        )
    return load(source)


def build(
    config: Config | ModelConfig | Mapping[str, Any] | str | Path,
    overrides: Overrides = (),
    *,
    backend: str | None = None,
) -> HierarchicalVAE:
    """A model with fresh weights.

    Args:
        config: a `Config`, a `ModelConfig`, plain values, a YAML file or a preset's name.
        overrides: what wins over it: ``"train.steps=2"``, a list of such strings, or a mapping
            such as ``{"train.steps": 2}``.
        backend: jax, tensorflow, torch or openvino, where Keras is not imported yet.

    Raises:
        ConfigError: the configuration is not valid.
    """
    select_backend(backend)
    from hvae_core.vae import HierarchicalVAE

    return HierarchicalVAE(_as_config(config, overrides))


def _as_config(
    config: Config | ModelConfig | Mapping[str, Any] | str | Path, overrides: Overrides
) -> Config:
    from hvae_core.config import Config, ModelConfig, load_config

    if isinstance(config, ModelConfig):
        config = Config(model=config)
    if isinstance(config, str | Path):
        config = find_configuration(config)
    return load_config(config, overrides)


def create(component: str, config: Mapping[str, Any] | None = None, **arguments: Any) -> Any:
    """Build any component by its registered name.

    For a flow: ``create("flow.sylvester", config={...}, latent_shape=(4, 4, 8))``.

    Args:
        component: ``kind.name``.
        config: its options.
        arguments: what the kind's builder takes beside the options, see `hvae_core.interfaces`.

    Raises:
        PluginError: there is no such component.
        ConfigError: the options are not valid.
    """
    from hvae_core.config import create_component
    from hvae_core.plugins.specs import KINDS

    kind, _, name = component.partition(".")
    if kind == "command":
        raise BadInputError(f"{component} is a command of hvae.", f"Run it in a shell: hvae {name}")
    if kind not in KINDS or not name:
        raise BadInputError(
            f"{component!r} is no component's name; expected kind.name, such as flow.sylvester.",
            did_you_mean(kind, KINDS),
        )
    if kind not in ("dataset", "likelihood", "regularizer", "preset"):
        select_backend()
    chosen = create_component(kind, {"name": name, **(config or {})})
    if kind == "flow":
        if "latent_shape" not in arguments:
            raise BadInputError(
                f"{component} needs the shape of its latent.", "Add latent_shape=(h, w, c)."
            )
        channels = chosen.spec.context_channels
        default = channels(chosen.options, arguments["latent_shape"]) if channels else 0
        arguments.setdefault("context_channels", default)
    if kind in ("flow", "block", "attention", "condition"):
        arguments.setdefault("name", name)
    try:
        inspect.signature(chosen.spec.resolve()).bind(chosen.options, **arguments)
    except TypeError as error:
        raise BadInputError(
            f"{component} cannot be built of these arguments: {error}.",
            f"hvae.interfaces says what a builder of the kind {kind} takes beside the options.",
        ) from error
    return chosen.build(**arguments)


def evaluate(
    model: HierarchicalVAE | ExportedModel | str | Path,
    dataset: Any = None,
    split: str = "test",
    *,
    measurement: Any = None,
    **options: Any,
) -> dict[str, Any]:
    """The figures of a model on a data set, see `hvae_core.evaluation.evaluate`.

    Args:
        model: a model, what `load` takes, or an export folder.
        dataset: images: a NumPy array or tensor [N, H, W, C], a pair (images, labels), a data set
            of PyTorch, TensorFlow, Keras, Grain or Hugging Face, anything with ``__len__`` and
            ``__getitem__``, or a mapping of split names to such. Or a data set of hvae, its name,
            or a mapping with its name and options. By default the data set that the model's
            configuration names.
        split: which of its splits; images without a split are taken for it.
        measurement: the figures of completing the images from it, see
            `hvae_core.evaluation.completing.evaluate_completion`: its name, ``columns:0.25``, or a
            mapping with its name and options.
        options: further arguments of either.

    Returns:
        The figures; of images in an array also ``sha256`` of the split, and of a run's model
        how many of the images measured are ``in_training_split``, pixel for pixel, and whether the
        split has ``changed`` since the run was started.

    Raises:
        DataError: the images do not fit the model, or are not its values without loss.
    """
    from hvae_core.config import create_component
    from hvae_core.data import open_dataset
    from hvae_core.data.given import evaluate_on, names_a_dataset
    from hvae_core.data.observing import Observation
    from hvae_core.evaluation import evaluate as run
    from hvae_core.interfaces import Dataset
    from hvae_core.runs.data_record import known_images
    from hvae_core.zoo.training_images import find_data_record

    if isinstance(model, str | Path):
        model = load_runnable(model)
    record = find_data_record(getattr(model, "source", None))
    if dataset is None:
        dataset = open_dataset(model.config.data)
    elif names_a_dataset(dataset):
        dataset = open_dataset(create_component("dataset", dataset))
    elif not isinstance(dataset, Dataset):
        dataset = evaluate_on(model.config, dataset, model.image_shape, split)
    if measurement is not None:
        from hvae_core.evaluation.completing import evaluate_completion

        chosen = create_component("measurement", measurement)
        built = chosen.build(model.image_shape, model.image_values)
        figures = evaluate_completion(model, dataset, built, split, **options)
    else:
        if model.measurement is not None:
            channels = model.encoder_shape[-1]
            options.setdefault("observe", Observation(model.measurement, channels))
        figures = run(model, dataset, split, **options)
    return figures | known_images(dataset.load(split), split, figures["images"], record)


def train(
    config: Config | Mapping[str, Any] | str | Path | HierarchicalVAE,
    output: str | Path,
    *,
    dataset: Any = None,
    overrides: Overrides = (),
    resume: bool = False,
    callbacks: Sequence[Any] = (),
    weights: str | Path | None = None,
    backend: str | None = None,
    allow_changed_data: bool = False,
) -> TrainResult:
    """Train a model, see `hvae_core.training.train`, and write its report (``train.report``).

    Args:
        config: a `Config`, plain values, a YAML file or a preset's name. Or a model: the run has
            its configuration, starts from its weights, and leaves frozen (``train.freeze``) those
            that are not trainable; the model itself stays as it is.
        output: the run folder.
        dataset: images in place of those of the configuration: a NumPy array or tensor
            [N, H, W, C], a pair (images, labels), a data set of PyTorch, TensorFlow, Keras, Grain
            or Hugging Face, anything with ``__len__`` and ``__getitem__``, or a mapping of split
            names, one of them ``"train"``, to such. Or a data set's name, or a mapping with its
            name and options. Plain values may also have them as their ``data``.
        overrides: what wins over it: ``"train.steps=2"``, a list of such strings, or a mapping
            such as ``{"train.steps": 2}``.
        resume: go on with the run in ``output``.
        callbacks: `hvae.callbacks.Callback` objects that watch the run.
        weights: what to start from in place of fresh weights, see
            `hvae_core.zoo.finding.find_weights_file`; a run that goes on from a checkpoint does not
            look at them.
        backend: jax, tensorflow or torch, where Keras is not imported yet.
        allow_changed_data: go on with a run though its training images are others now. Those that
            it held out stay held out.

    Raises:
        ConfigError: the configuration is not valid, or a run is to be resumed with other images.
        DataError: the images do not fit the model, or are not its values without loss.
    """
    from hvae_core.runs.run_folder import RunFolder

    start: Any = None
    if weights is not None and not (resume and RunFolder(output).has_checkpoint):
        start = find_weights_file(weights)
    select_training_backend(backend)
    from hvae_core.report import ReportAtEnd
    from hvae_core.training import train as run
    from hvae_core.vae import HierarchicalVAE
    from hvae_core.weights import model_arrays

    adapts = False
    if isinstance(config, HierarchicalVAE):
        if start is not None:
            raise BadInputError("A model and weights to start from are given; give one of them.")
        adapts = config.is_to_adapt
        start, config = model_arrays(config), config.config_with_frozen()
    chosen, images = _with_data(config, dataset, overrides)
    # Last, as it gives the model its best weights.
    watching = [*callbacks, *([ReportAtEnd(images)] if chosen.train.report else [])]
    return run(
        chosen,
        Path(output),
        resume=resume,
        callbacks=watching,
        weights=start,
        dataset=images,
        allow_changed_data=allow_changed_data,
        adapts=adapts,
    )


def _with_data(
    config: Config | Mapping[str, Any] | str | Path, dataset: Any, overrides: Overrides
) -> tuple[Config, Dataset | None]:
    """The configuration, and the data set where its images are held by Python objects."""
    from hvae_core.data.given import names_a_dataset, train_on

    if isinstance(config, Mapping) and config.get("data") is not None:
        held = config["data"]
        if not names_a_dataset(held):
            config = {key: value for key, value in config.items() if key != "data"}
            dataset = held if dataset is None else dataset
    if dataset is None:
        return _as_config(config, overrides), None
    chosen = _as_config(config, ())
    if not names_a_dataset(dataset):
        return train_on(chosen, dataset, overrides)
    return _as_config({**chosen.to_dict(), "data": dataset}, overrides), None
