"""Pictures of digits: a PNG of rows of hexadecimal digits, and a waveform of lowest and highest values."""

import base64
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

_SHADES = 16
_HEIGHT = 64  # of a waveform, in its own units
_DIGITS = frozenset("0123456789abcdef")


def png(rows: Sequence[str]) -> bytes:
    """Return rows of hexadecimal digits, the lowest first, as a picture: black ink, digit 0 bare, digit f full cover.

    Raises:
        ValueError: if the rows are of different lengths.
    """
    width = len(rows[0])
    if any(len(row) != width for row in rows):
        raise ValueError(f"rows of {sorted({len(row) for row in rows})} digits are no picture; all must be as long")
    # Colour type 3 with 4 bits a pixel: two digits are a byte of the picture as they stand. Filter 0 before each row.
    lines = b"".join(b"\0" + bytes.fromhex(row + "0" * (width % 2)) for row in reversed(rows))
    cover = bytes(round(255 * shade / (_SHADES - 1)) for shade in range(_SHADES))
    header = struct.pack(">IIBBBBB", width, len(rows), 4, 3, 0, 0, 0)
    chunks = (
        (b"IHDR", header),
        (b"PLTE", bytes(3 * _SHADES)),
        (b"tRNS", cover),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def inked(rows: Any) -> str | None:
    """Return rows of digits as a PNG in base64; None if they are no picture."""
    if not isinstance(rows, list) or not rows or not all(isinstance(row, str) and row for row in rows):
        return None
    if len({len(row) for row in rows}) > 1 or not _DIGITS.issuperset("".join(rows)):
        return None
    return base64.b64encode(png(rows)).decode()


def wave(found: Any) -> tuple[str, int] | None:
    """Return the outline of a waveform as the data of a path, and its width; its height is `HEIGHT`; None if none.

    A step of 1 to the right is a moment. The path runs along the highest values and back along the lowest.
    """
    if not isinstance(found, Mapping):
        return None
    low, high = (_integers(found.get(name)) for name in ("low", "high"))
    if not low or len(low) != len(high):
        return None
    there = [f"{index} {_y(value)}" for index, value in enumerate(high)]
    back = [f"{index} {_y(value)}" for index, value in enumerate(low)]
    return f"M{'L'.join([*there, *reversed(back)])}z", max(1, len(low) - 1)


HEIGHT = _HEIGHT
"""Of a waveform, from its lowest to its highest value, in the units of its path."""


def _y(value: int) -> int:
    return round(_HEIGHT * (0.5 - 0.48 * value / 99))


def _integers(text: Any) -> list[int]:
    words = text.split() if isinstance(text, str) else []
    try:
        return [max(-99, min(99, int(word))) for word in words]
    except ValueError:
        return []
