"""The format ``openai-vdvae``: weights under the original VDVAE's names. Needs no Keras."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hvae_core.errors import BadInputError
from hvae_core.importing import write_state_dict
from hvae_core.interfaces import Exporter
from hvae_core.plugins import hookimpl
from hvae_core.plugins.specs import ComponentSpec
from hvae_core.weights import read_tensors
from hvae_plugins.importers.openai_vdvae.original_tensors import to_original

if TYPE_CHECKING:
    from hvae_core.zoo import Preset


class OpenAIVDVAEExporter(Exporter):
    """Writes a state dict (.th), as the original's ``torch.load`` reads it, or .safetensors."""

    def __init__(self, options: Any) -> None:
        self.options = options

    def check_output(self, output: Path) -> None:
        """See `Exporter.check_output`."""
        if output.is_dir():
            raise BadInputError(f"Cannot export to {output}: it is a folder, not a file.")

    def export(self, preset: Preset, output: Path, precision: str = "float32") -> dict[str, Any]:
        """See `Exporter.export`."""
        assert preset.weights_path is not None  # `hvae_core.exporting` has made sure
        arrays = to_original(read_tensors(preset.weights_path), preset.config)
        path = write_state_dict(arrays, output)
        return {"output": str(path), "format": "openai-vdvae"}


@hookimpl
def hvae_component() -> ComponentSpec:
    """Describe the format."""
    return ComponentSpec(
        kind="export",
        name="openai-vdvae",
        summary="A state dict with the original VDVAE's names (.th or .safetensors)",
        builder=OpenAIVDVAEExporter,
        references=("Child 2020, Very Deep VAEs, arXiv 2011.10650",),
    )
