"""How does a file become pixels?  To the bits that Pillow's `convert("RGB")` gives, and only down
to the last row that is wanted.

A JPEG is decoded from the top, so a window needs nothing below it.  libjpeg-turbo stops at the
height that the file's header states: with a smaller height written there, it decodes as much less.
Its last row may then differ, because chroma is interpolated with the row below: two more are taken.
"""

import io
import warnings
from typing import Any

import numpy as np

from algoperf_pt.errors import DataError
from algoperf_pt.optional import need

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

_COLOURS = 3  # components of a JPEG that is neither grey nor CMYK
_CONTEXT = 2  # rows below the last wanted one that its chroma may depend on
_START, _BASELINE = b"\xff\xd8", (0xC0, 0xC1)
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers that state the size
_BARE = frozenset((0x01, *range(0xD0, 0xD8)))  # markers without a length
_EIGHTH = 8  # smallest size that a JPEG decodes to: all its data are read, little is computed


class Scratch:
    """Memory into which one picture after another is decoded: fresh pages for each cost up to a
    fifth of the decoding, depending on the allocator.
    """

    def __init__(self) -> None:
        self._bytes = np.empty(0, np.uint8)

    def take(self, size: int) -> Pixels:
        """uint8, at least `size`; what was there before is lost."""
        if len(self._bytes) < size:
            self._bytes = np.empty(size, np.uint8)
        return self._bytes


class Picture:
    """An encoded picture of any kind.

    Args:
        data: a file: JPEG (colour, grey, CMYK), or what else Pillow reads.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._frame = _frame(data)
        if self._frame is None:
            self.width, self.height = _open(data).size
        else:
            self.height, self.width = self._frame.height, self._frame.width

    def rows(self, stop: int | None = None, scratch: Scratch | None = None) -> Pixels:
        """uint8 [at least `stop`, width, 3], writable: the rows above `stop`; None: all.

        Args:
            stop: row.
            scratch: where they may lie; they last until it is used again.

        Raises:
            DataError: it cannot be decoded.
        """
        frame = self._frame
        if frame is None or not frame.colour:
            return np.array(self.image())
        data: bytes | bytearray = self.data
        if stop is not None and frame.baseline and stop + _CONTEXT < self.height:
            data = bytearray(self.data)
            data[frame.place : frame.place + 2] = (stop + _CONTEXT).to_bytes(2, "big")
        decode = need("simplejpeg", "imagenet").decode_jpeg
        buffer = scratch.take(self.height * self.width * _COLOURS) if scratch else None
        try:
            found: Pixels = decode(data, "RGB", buffer=buffer, strict=False)
        except ValueError:  # Pillow takes a few more kinds, or says what is wrong
            return np.array(self.image())
        return found

    def image(self) -> Any:
        """The whole picture as Pillow's RGB image."""
        try:
            return _open(self.data).convert("RGB")
        except (OSError, ValueError, SyntaxError) as error:
            raise DataError(f"a picture cannot be decoded: {error}") from error


class _Frame:
    """What a JPEG's frame header says, and where its height stands in the file."""

    def __init__(self, data: bytes, marker: int, at: int) -> None:
        self.place = at + 3
        self.height = int.from_bytes(data[at + 3 : at + 5], "big")
        self.width = int.from_bytes(data[at + 5 : at + 7], "big")
        self.colour = data[at + 7] == _COLOURS
        self.baseline = marker in _BASELINE


def _frame(data: bytes) -> _Frame | None:
    """Of a JPEG's first frame; None: it is no JPEG, or an unusual one."""
    if data[:2] != _START:
        return None
    at, end = 2, len(data) - 9
    while at < end and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _FRAMES:
            found = _Frame(data, marker, at + 2)
            return found if found.height and found.width else None
        if marker == 0xFF or marker in _BARE:
            at += 1 if marker == 0xFF else 2
        else:
            at += 2 + (data[at + 2] << 8 | data[at + 3])
    return None


def flaw(data: bytes) -> str | None:
    """What is wrong with a file, by Pillow's judgement; None: it can be decoded.

    All of a JPEG's data are read, but at an eighth of the size, which is faster.
    """
    try:
        image = _open(data)
        image.draft(None, tuple(max(1, length // _EIGHTH) for length in image.size))
        image.load()
    except need("PIL", "imagenet").UnidentifiedImageError:
        return "it is no picture"
    except Exception as error:  # of damaged files Pillow also raises struct.error, IndexError, ...
        return str(error) or type(error).__name__
    return None


def _open(data: bytes) -> Any:
    """Pillow's lazy image of a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about EXIF data, which nobody reads here
        return need("PIL.Image", "imagenet").open(io.BytesIO(data))
