"""Images are read exactly, or refused with a sentence."""

import io
import struct
import subprocess
import sys

import numpy as np
import pytest
from deep_png import deep_png
from PIL import Image, ImageOps

from hvae_core.config import create_component
from hvae_core.data.decode import Unreadable, cannot_decode, decode_chunks
from hvae_core.data.image_decoding import Decoding, Refused, beyond_pillow
from hvae_core.data.tiff import is_stack, read_tiff
from hvae_core.errors import ConfigError, DataError
from hvae_core.interfaces import ImageValues

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (6, 4), dtype=np.uint8)
RGB = RNG.integers(0, 256, (6, 4, 3), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (6, 4), dtype=np.uint16)
TWELVE = ImageValues.of_bits(12)
SIXTEEN = ImageValues.of_bits(16)
FLOATS = ImageValues("float32", -1, 1)


def encoded(array, kind="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


def tif(array, **options):
    tifffile = pytest.importorskip("tifffile")
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_are_read_exactly(kind):
    decoded = Decoding(1, values=SIXTEEN)(encoded(DEEP, kind))
    assert decoded.dtype == np.uint16
    np.testing.assert_array_equal(decoded[..., 0], DEEP)
    np.testing.assert_array_equal(
        Decoding(1, values=TWELVE)(encoded(DEEP >> 4, kind))[..., 0], DEEP >> 4
    )
    as_floats = Decoding(1, values=FLOATS)(encoded(DEEP, kind))
    np.testing.assert_array_equal(as_floats[..., 0], DEEP.astype(np.float32))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_are_not_taken_for_8_unless_asked_for(kind):
    with pytest.raises(Refused, match=r"holds uint16 values from \d+ to \d+; expected uint8") as e:
        Decoding(1)(encoded(DEEP, kind))
    assert "data.reduce_bits=true" in e.value.hint
    reduced = Decoding(1, reduce_bits=True)(encoded(DEEP, kind))
    np.testing.assert_array_equal(reduced[..., 0], DEEP >> 8)
    with pytest.raises(Refused, match="expected uint16 of 12 bits"):
        Decoding(1, values=TWELVE)(encoded(DEEP, kind))


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize(
    ("array", "values"),
    [
        (RNG.normal(0, 9, (6, 4)).astype("f"), FLOATS),
        (RNG.normal(0, 9, (6, 4)).astype("f").astype("d"), FLOATS),
        (RNG.integers(0, 65536, (6, 4, 3), dtype=np.uint16), SIXTEEN),
        (RNG.integers(0, 65536, (6, 4, 3), dtype=np.uint16).astype(">u2"), SIXTEEN),
        (DEEP.astype(np.int32), SIXTEEN),
        (DEEP.astype(np.int32) - 9000, FLOATS),
        (GREY.astype(np.int32), ImageValues()),
    ],
    ids=["float", "double", "rgb", "big-endian", "int32", "negative", "small int32"],
)
def test_tiff_files_are_read_exactly(array, values, compression):
    channels = array.shape[2] if array.ndim == 3 else 1
    kind = "rgb" if channels == 3 else "minisblack"
    data = tif(array, photometric=kind, compression=compression)
    decoded = Decoding(channels, values=values)(data)
    assert decoded.dtype == values.dtype
    np.testing.assert_array_equal(decoded.reshape(array.shape), array)


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (RNG.random((6, 4)).astype("f"), "holds float32 values from 0"),
        (
            np.where(GREY > 100, GREY, np.nan).astype("f"),
            "values of which .* are not finite",
        ),
        (DEEP.astype(np.int32) * 9, "holds int32 values"),
        (GREY.astype(np.int16) - 200, "holds int16 values from -"),
        (GREY[:, :, None].repeat(5, 2), "has 5 channels; expected 1"),
        (GREY[None].repeat(3, 0)[..., None], "is a TIFF file of 3 images; expected one"),
    ],
)
@pytest.mark.parametrize("reduce_bits", [False, True])
def test_what_a_tiff_file_holds_beside_8_bits_is_refused(array, told, reduce_bits):
    options = {"photometric": "minisblack"}
    if array.shape[-1] == 5:
        options["planarconfig"] = "contig"
    with pytest.raises(Refused, match=told):
        Decoding(1, reduce_bits=reduce_bits)(tif(array, **options))


def written(*pages):
    """A TIFF file whose pages are written one by one: arrays, and options of each."""
    tifffile = pytest.importorskip("tifffile")
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        for array, options in pages:
            writer.write(array, **options)
    return buffer.getvalue()


def test_pages_written_one_by_one_are_the_images_of_a_tiff_file():
    reduced, mask = {"subfiletype": 1}, {"subfiletype": 4}
    several = written((GREY, {}), (GREY[::2], reduced), (GREY + 1, {}))
    np.testing.assert_array_equal(read_tiff(several)[..., 0], [GREY, GREY + 1])
    with pytest.raises(Refused, match="is a TIFF file of 2 images; expected one"):
        Decoding(1)(several)
    stacks = written((np.stack([GREY, GREY]), {"photometric": "minisblack"}), (GREY + 1, {}))
    np.testing.assert_array_equal(read_tiff(stacks)[..., 0], [GREY, GREY, GREY + 1])
    masked = written((GREY, {}), (GREY > 9, mask))
    np.testing.assert_array_equal(read_tiff(masked)[..., 0], [GREY])
    alone = written((GREY[::2], reduced), (GREY, {}))
    np.testing.assert_array_equal(Decoding(1)(alone)[..., 0], GREY)
    for other, told in (
        (GREY[:3], r"6x4x1 uint8 and 3x4x1 uint8"),
        (GREY.astype(np.uint16), r"6x4x1 uint8 and 6x4x1 uint16"),
    ):
        with pytest.raises(DataError, match=f"holds images of several kinds, {told}; expected"):
            read_tiff(written((GREY, {}), (other, {})))


COLOURS = np.stack([np.arange(256)[::-1] * 257, np.full(256, 300), np.arange(256) % 7 * 9000])
GREYS = np.arange(256)[None].repeat(3, 0) * 257


@pytest.mark.parametrize(
    ("options", "array", "values", "expected"),
    [
        ({"photometric": "minisblack"}, GREY, ImageValues(), GREY),
        ({"photometric": "miniswhite"}, GREY, ImageValues(), 255 - GREY),
        ({"photometric": "miniswhite"}, DEEP, SIXTEEN, 65535 - DEEP),
        ({"photometric": "palette", "colormap": COLOURS.astype(np.uint16)}, GREY, ImageValues(),
         (COLOURS >> 8).T[GREY]),
        ({"photometric": "palette", "colormap": GREYS.astype(np.uint16)}, GREY, ImageValues(),
         GREY),
        ({"photometric": "rgb"}, RGB, ImageValues(), RGB),
    ],
    ids=["black is 0", "white is 0", "white is 0, deep", "palette", "grey palette", "rgb"],
)  # fmt: skip
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_numbers_of_a_tiff_file_mean_the_same_however_many_pages_there_are(
    options, array, values, expected, compression, tmp_path
):
    options = {**options, "compression": compression}
    channels = expected.shape[2] if expected.ndim == 3 else 1
    expected = expected.reshape(*GREY.shape, channels)
    reduced = (array[::2], {**options, "subfiletype": 1})
    mask = (array > 9, {"subfiletype": 4, "photometric": "minisblack"})
    whole = (array, options)
    for pages in ([whole], [whole, reduced], [reduced, whole], [whole, reduced, mask]):
        path = tmp_path / "image.tif"
        path.write_bytes(written(*pages))
        assert not is_stack(path)
        np.testing.assert_array_equal(Decoding(channels, values=values)(path), expected)
        np.testing.assert_array_equal(read_tiff(path), expected[None])
    for pages in ([whole, whole], [(np.stack([array, array]), options)], [whole, reduced, whole]):
        path = tmp_path / "stack.tif"
        path.write_bytes(written(*pages))
        assert is_stack(path)
        np.testing.assert_array_equal(read_tiff(path), [expected, expected])


def test_floating_point_numbers_of_which_white_is_unknown_stay_as_they_are():
    array = RNG.normal(0, 9, (6, 4)).astype("f")
    np.testing.assert_array_equal(read_tiff(tif(array, photometric="miniswhite"))[0, ..., 0], array)


def test_palettes_that_differ_are_refused():
    frames = [Image.fromarray(GREY).convert("P") for _ in range(3)]
    for number, frame in enumerate(frames):
        frame.putpalette([number] * 768)
    buffer = io.BytesIO()
    frames[0].save(buffer, "TIFF", save_all=True, append_images=frames[1:])
    with pytest.raises(DataError, match="has pages with palettes of their own"):
        read_tiff(buffer.getvalue())


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg", "tiff_adobe_deflate", "packbits"])
def test_tiff_stacks_are_read_whatever_their_compression(compression, tmp_path):
    pytest.importorskip("tifffile")
    pytest.importorskip("imagecodecs")
    frames = [Image.fromarray(np.full((16, 16), 9 * n, np.uint8)) for n in range(5)]
    path = tmp_path / "stack.tif"
    frames[0].save(path, save_all=True, append_images=frames[1:], compression=compression)
    np.testing.assert_array_equal(read_tiff(path)[..., 0], np.stack(frames))


@pytest.mark.parametrize("given", ["path", "path.read_bytes()"])
def test_the_package_that_a_compression_needs_is_named(given, tmp_path):
    pytest.importorskip("tifffile")
    path = tmp_path / "stack.tif"
    frame = Image.fromarray(GREY)
    frame.save(path, save_all=True, append_images=[frame], compression="tiff_lzw")
    script = (
        "import sys, pathlib; sys.modules['imagecodecs'] = None\n"
        "from hvae_core.data.tiff import read_tiff\n"
        f"path = pathlib.Path({str(path)!r})\n"
        f"try: read_tiff({given})\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout
    assert told.startswith("MissingDependencyError The compression of ")
    assert "needs the package imagecodecs, which is not installed." in told
    assert "pip install 'hvae[tiff]'" in told


def test_a_tiff_file_is_refused_before_it_is_decoded(monkeypatch):
    tifffile = pytest.importorskip("tifffile")
    stack = tif(GREY[None].repeat(3, 0), photometric="minisblack")
    shapes = []
    read_tiff(stack, shapes.append)
    assert shapes == [(3, *GREY.shape, 1)]

    def decode(*_, **__):
        raise AssertionError("decoded")

    monkeypatch.setattr(tifffile.TiffFile, "asarray", decode)
    with pytest.raises(Refused, match="is a TIFF file of 3 images"):
        Decoding(1)(stack)
    large = written((GREY[:1, :1], {"subfiletype": 1}), (GREY, {}))
    many = tif(np.zeros((6, 4, 99), np.uint8), photometric="minisblack", planarconfig="contig")
    for data, told in ((large, "4x6 pixels of 1 channels"), (many, "4x6 pixels of 99 channels")):
        with pytest.raises(Refused, match=f"has {told}; at most 23 of 4 are accepted"):
            beyond_pillow(data, max_pixels=23)
        with pytest.raises(Refused, match="decoded"):
            beyond_pillow(data, max_pixels=24 * 99)


def test_any_number_of_channels(tmp_path):
    stack = RNG.integers(0, 4096, (6, 4, 5), dtype=np.uint16)
    path = tmp_path / "five.tif"
    path.write_bytes(tif(stack, photometric="minisblack", planarconfig="contig"))
    np.testing.assert_array_equal(Decoding(5, values=TWELVE)(path), stack)
    small = Decoding(5, (3, 2), values=TWELVE)(path)
    assert small.shape == (3, 2, 5)
    assert small.dtype == np.uint16
    with pytest.raises(Refused, match="has 3 channels; expected 5"):
        Decoding(5)(encoded(RGB))


FOUR = RNG.integers(0, 65536, (9, 10, 4), dtype=np.uint16)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bits_a_channel_of_png_files_are_read_exactly(channels, interlaced, tmp_path):
    """Pillow alone gives the upper 8 of them without a word."""
    array = FOUR[..., :channels]
    data = deep_png(array, interlaced=interlaced)
    np.testing.assert_array_equal(Decoding(channels, values=SIXTEEN)(data), array)
    (tmp_path / "a.png").write_bytes(data)
    floats = Decoding(channels, values=FLOATS)(tmp_path / "a.png")
    np.testing.assert_array_equal(floats, array.astype(np.float32))
    small = Decoding(channels, (4, 5), values=SIXTEEN)(data)
    assert (small.shape, small.dtype) == ((4, 5, channels), np.uint16)
    kept = channels if channels % 2 else channels - 1
    dropped = Decoding(kept, values=SIXTEEN, background="drop")(data)
    np.testing.assert_array_equal(dropped, array[..., :kept])
    for values in (ImageValues(), TWELVE):
        with pytest.raises(Refused, match=r"holds uint16 values from .*; expected uint"):
            Decoding(channels, values=values)(data)
    if channels == 3:
        reduced = Decoding(3, reduce_bits=True)(data)
        np.testing.assert_array_equal(reduced, array >> 8)
        turned = deep_png(array, chunks=[(b"eXIf", Image.Exif().tobytes()[6:])])
        np.testing.assert_array_equal(Decoding(3, values=SIXTEEN)(turned), array)
        exif = Image.Exif()
        exif[274] = 6
        turned = deep_png(array, chunks=[(b"eXIf", exif.tobytes()[6:])])
        np.testing.assert_array_equal(Decoding(3, values=SIXTEEN)(turned), np.rot90(array, -1))


def test_transparent_pixels_of_16_bits_are_laid_on_the_background():
    image = np.array([[(60000, 0, 9, 0), (60000, 0, 9, 65535), (60000, 0, 9, 13107)]], np.uint16)
    hidden = deep_png(image[..., :3], chunks=[(b"tRNS", struct.pack(">HHH", 60000, 0, 9))])
    for data in (deep_png(image), hidden, deep_png(image[..., ::3])):
        channels = 1 if data == deep_png(image[..., ::3]) else 3
        with pytest.raises(Refused, match="has transparent pixels"):
            Decoding(channels, values=SIXTEEN)(data)
    decoded = Decoding(3, values=SIXTEEN, background="#ff8000")(deep_png(image))[0]
    np.testing.assert_array_equal(decoded[0], [65535, 128 * 257, 0])
    np.testing.assert_array_equal(decoded[1], image[0, 1, :3])
    np.testing.assert_array_equal(decoded[2], np.rint([64428, 128 * 257 * 0.8, 1.8]))
    grey = Decoding(1, values=SIXTEEN, background="white")(deep_png(image[..., ::3]))
    np.testing.assert_array_equal(grey.ravel(), [65535, 60000, 64428])
    laid = Decoding(3, values=SIXTEEN, background="black")(hidden)
    np.testing.assert_array_equal(laid, np.zeros((1, 3, 3)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_tiff_files_are_turned_as_their_orientation_says(orientation, tmp_path):
    tag = [(274, "H", 1, orientation, True)]
    for array, values in ((RGB, ImageValues()), (RGB.astype(np.uint16) * 200, SIXTEEN)):
        data = tif(array, photometric="rgb", extratags=tag)
        with Image.open(io.BytesIO(tif(RGB, photometric="rgb", extratags=tag))) as opened:
            upright = np.asarray(ImageOps.exif_transpose(opened)).astype(np.uint16)
        expected = upright * (200 if values == SIXTEEN else 1)
        np.testing.assert_array_equal(Decoding(3, values=values)(data), expected)
    path = tmp_path / "a.tif"
    path.write_bytes(tif(GREY, photometric="minisblack", extratags=tag))  # Pillow would map it
    np.testing.assert_array_equal(Decoding(1)(path), Decoding(1)(path.read_bytes()))
    grey = Decoding(1)(path)
    path.write_bytes(tif(np.stack([GREY, GREY]), photometric="minisblack", extratags=tag))
    stack = read_tiff(path)
    np.testing.assert_array_equal(stack, [grey, grey])
    assert isinstance(stack, np.memmap)


RED = (255, 0, 0)


@pytest.mark.parametrize(
    ("background", "expected"),
    [("white", (255, 255, 255)), ("#102030", (16, 32, 48)), ("drop", RED)],
)
def test_transparent_pixels_are_laid_on_the_background(background, expected):
    image = np.array([[(*RED, 0), (*RED, 255), (*RED, 51)]], np.uint8)
    decoded = Decoding(3, background=background)(encoded(image))[0]
    assert tuple(decoded[0]) == expected
    assert tuple(decoded[1]) == RED
    mixed = np.rint(np.array(expected) * 0.8 + np.array(RED) * 0.2)
    np.testing.assert_allclose(decoded[2], mixed if background != "drop" else RED, atol=1)
    assert Decoding(1, background=background)(encoded(image)).shape == (1, 3, 1)


def test_transparency_in_every_form_is_refused_without_a_background():
    palette = Image.fromarray(RGB).quantize(4)
    buffer = io.BytesIO()
    palette.save(buffer, "PNG", transparency=0)
    grey = np.dstack([GREY, GREY])
    for data in (buffer.getvalue(), encoded(grey), encoded(np.dstack([RGB, GREY]), "WEBP")):
        for channels in (1, 3):
            with pytest.raises(Refused, match="has transparent pixels") as caught:
                Decoding(channels)(data)
            assert "data.background=white" in caught.value.hint
    opaque = np.dstack([RGB, np.full_like(GREY, 255)])
    np.testing.assert_array_equal(Decoding(3)(encoded(opaque)), RGB)
    kept = np.dstack([RGB, GREY])
    np.testing.assert_array_equal(Decoding(4)(encoded(kept)), kept)


def test_a_size_need_not_be_square():
    wide = np.zeros((8, 40, 3), np.uint8)
    wide[:, 12:28] = 255
    assert Decoding(3, (4, 8))(encoded(wide)).min() > 230  # the middle of the same proportions
    stretched = Decoding(3, (4, 8), "none")(encoded(wide))
    assert stretched.shape == (4, 8, 3)
    assert stretched.min() == 0
    deep = np.full((5, 7), 60000, np.uint16)
    deep[0, 0] = 0
    fitted = Decoding(1, (5, 3), values=SIXTEEN)(encoded(deep))
    assert fitted.shape == (5, 3, 1)
    assert (fitted == 60000).all()
    floats = Decoding(1, (2, 2), values=FLOATS)(tif(np.full((9, 4), -0.5, "f")))
    np.testing.assert_allclose(floats, -0.5, rtol=1e-6)


def test_all_refused_images_are_named_and_none_is_skipped():
    items = [(f"{number}.png", encoded(RGB)) for number in range(5)]
    for number in (1, 3):
        items[number] = (f"{number}.png", encoded(np.dstack([RGB, GREY])))
    told = r"2 images cannot be taken as they are: 1.png, 3.png \(the first has transparent pixels"
    for skipped in (None, Unreadable()):
        with pytest.raises(DataError, match=told):
            list(decode_chunks(items, Decoding(3), (6, 4, 3), skipped))
    with pytest.raises(DataError, match=r"^3.png has transparent pixels\."):
        list(decode_chunks(items[2:], Decoding(3), (6, 4, 3)))
    items[0] = ("0.png", b"no image")
    with pytest.raises(DataError, match=r"^0.png is no readable image"):
        list(decode_chunks(items, Decoding(3), (6, 4, 3)))
    assert cannot_decode("x", OSError("gone")).message == "x is no readable image (gone)."


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"background": "whitish"}, "background is 'whitish'; expected a colour"),
        ({"size": [8, 0]}, "data"),
        ({"channels": 0}, "channels"),
    ],
)
def test_impossible_options_are_told(options, told):
    with pytest.raises(ConfigError, match=told):
        create_component("dataset", {"name": "image-folder", "root": "x", **options})
