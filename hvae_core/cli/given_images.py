"""Images that the user gives a command: image files, folders of them, and arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hvae_core.errors import DataError

if TYPE_CHECKING:
    import numpy as np

    from hvae_core.exported.exported_model import ExportedModel
    from hvae_core.vae import HierarchicalVAE


class NamedImages(NamedTuple):
    """Images [B, H, W, C] and what each is called: its file, or its place in a data set."""

    pixels: np.ndarray
    names: list[str]


def read_image(
    path: str, model: HierarchicalVAE | ExportedModel, whole: bool = False
) -> np.ndarray:
    """An image file as the model takes images: native values [H, W, C].

    Cropped to the model's proportions and resized, or ``whole``; and padded and binarized where its
    data are.

    Raises:
        DataError: there is no such file, or it is no image; names the file.
    """
    from hvae_core.images.user_images import as_trained_on, padding_of, read_user_image

    shape = (None, None, model.image_shape[-1]) if whole else model.image_shape
    padding = 0 if whole else padding_of(model.config)
    fitted = read_user_image(path, shape, values=model.image_values, padding=padding)
    return as_trained_on(fitted, model.config).pixels


def read_images(
    paths: Sequence[str], model: HierarchicalVAE | ExportedModel, whole: bool = False
) -> NamedImages:
    """Images as the model takes them, [B, H, W, C], in the order of the paths, and their names.

    An image is called by its path, ``PATH[NUMBER]`` if it is one of several in a file.

    Args:
        paths: image files (see `read_image`), folders of them, ``.npy`` files and TIFF stacks with
            images of the model's shape, and ``.npz`` archives with such an array ``images``, or one
            array of another name.
        model: the model.
        whole: in the size that they have, which must be the same.

    Raises:
        DataError: a path is none of these, or holds no image, or is of another size than the first;
            names it.
        BadInputError: an archive's images are not of the model's shape; names it.
    """
    import numpy as np

    from hvae_core.data.file_search import find_files
    from hvae_core.data.image_files import SUFFIXES
    from hvae_core.data.tiff import is_stack

    found = []
    for path in map(Path, paths):
        if path.is_dir():
            files = find_files(path, SUFFIXES)
            if not files:
                raise DataError(
                    f"{path} has no images.", f"Images end in {', '.join(sorted(SUFFIXES))}."
                )
            found += [(file, read_image(str(file), model, whole)[None]) for file in files]
        elif path.suffix.lower() in (".npy", ".npz") or is_stack(path):
            found.append((path, _read_arrays(path, model, whole)))
        else:
            found.append((path, read_image(str(path), model, whole)[None]))
    size = found[0][1].shape[1:3]
    for file, images in found:
        if images.shape[1:3] != size:
            raise DataError(
                f"{file} is of {images.shape[1]}x{images.shape[2]}, and {found[0][0]} of "
                f"{size[0]}x{size[1]}; images that keep their size must be of one.",
                "Take those of each size by themselves.",
            )
    names = [
        str(file) if len(images) == 1 else f"{file}[{number}]"
        for file, images in found
        for number in range(len(images))
    ]
    return NamedImages(np.concatenate([images for _, images in found]), names)


def _read_arrays(
    path: Path, model: HierarchicalVAE | ExportedModel, whole: bool = False
) -> np.ndarray:
    from hvae_core.data import tiff
    from hvae_core.data.arrays import map_npy, read_member
    from hvae_core.inference.arguments import check_images
    from hvae_core.inference.tiles import check_whole_images

    def choose(names: list[str]) -> str:
        if "images" not in names and len(names) != 1:
            raise DataError(
                f"{path} has the arrays {', '.join(names) or 'none'}; expected one called images."
            )
        return "images" if "images" in names else names[0]

    if not path.is_file():
        raise DataError(f"There is no file {path}.")
    if path.suffix.lower() in tiff.SUFFIXES:
        array = tiff.read_tiff(path)
    else:
        array = map_npy(path) if path.suffix.lower() == ".npy" else read_member(path, choose)
    if array.shape == tuple(model.image_shape) or (whole and array.ndim == 3):
        array = array[None]
    return (check_whole_images if whole else check_images)(model, array, str(path))
