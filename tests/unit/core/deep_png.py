"""PNG files with 16 bits a channel, which Pillow does not write in colour."""

import struct
import zlib


def deep_png(array, *, interlaced=False, chunks=()):
    """A PNG file of uint16 [H, W, C], with further chunks (name, data) before the pixels."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(
            ">I", zlib.crc32(name + data)
        )  # fmt: skip

    height, width, channels = array.shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    passes = [array]
    if interlaced:
        steps = ((0, 8, 0, 8), (0, 8, 4, 8), (4, 8, 0, 4), (0, 4, 2, 4), (2, 4, 0, 2),
                 (0, 2, 1, 2), (1, 2, 0, 1))  # fmt: skip
        passes = [array[y::down, x::across] for y, down, x, across in steps]
    rows = b"".join(
        b"\0" + row.tobytes() for part in passes for row in part.astype(">u2") if part.size
    )
    head = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, int(interlaced))
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", head),
            *(chunk(name, data) for name, data in chunks),
            *(chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")),
        ]
    )
