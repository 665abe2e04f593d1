"""A DICOM file becomes a grey image in [0, 1], the way a reading room would show it.

The order of the grey-scale chain is fixed by DICOM PS3.3 (C.11.1 modality LUT, C.11.2 VOI LUT) and PS3.4 N.2:
stored value -> modality LUT or rescale -> VOI LUT or window -> inverted for MONOCHROME1. Every step is a function
of one stored value, so the chain is worked out once for each value that BitsStored allows (65,536 at most) and the
picture then is one table look-up. That also fixes the range: black and white are those of the theoretical range, never
of the values that happen to occur, so one bright marker does not darken a lung.

pydicom 3.0 does not invert MONOCHROME1, leaves windowed values in the modality's range, raises on WindowWidth 0 and
wraps 8-bit VOI tables of more than 256 entries; hence the tables here. Only the elements of the image itself are
parsed: names and numbers of patients in the header are not even read.

Not supported, and unreadable: colour tables (PALETTE COLOR), float pixel data, more than 16 bits, and functional groups
of enhanced multi-frame objects (their window is not at the top level).
"""

from __future__ import annotations

import logging
from io import BytesIO
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.pixels import pixel_array

from workers.images.errors import ImageError

Array = npt.NDArray[Any]
Grey = npt.NDArray[np.float32]

logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)  # its warnings quote values of the header

MAX_FRAMES: Final = 1
"""A radiograph has one frame; the first of a run of frames would be an arbitrary picture of it."""

_ELEMENTS: Final = [
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "Rows", "Columns", "NumberOfFrames",
    "SamplesPerPixel", "PlanarConfiguration", "PhotometricInterpretation", "PixelData", "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths", "ModalityLUTSequence", "RescaleSlope", "RescaleIntercept", "VOILUTSequence",
    "WindowCenter", "WindowWidth", "VOILUTFunction", "PresentationLUTShape",
]  # fmt: skip


def read(data: bytes, *, max_pixels: int) -> Grey:
    """Decodes one DICOM file.

    Args:
        data: A whole DICOM file with preamble.
        max_pixels: Limit on rows x columns, looked at before pixels are decoded.

    Returns:
        (rows, columns) float32 in [0, 1], 0 is black.

    Raises:
        ImageError: Over a limit, or a kind of DICOM that is not supported.
        Exception: Whatever pydicom and its decoders raise on broken files.
    """
    dataset = pydicom.dcmread(BytesIO(data), specific_tags=list(_ELEMENTS))
    if int(dataset.get("NumberOfFrames") or 1) > MAX_FRAMES or int(dataset.Rows) * int(dataset.Columns) > max_pixels:
        raise ImageError("image_too_large")
    photometric = str(dataset.PhotometricInterpretation)
    if photometric in {"MONOCHROME1", "MONOCHROME2"}:
        stored = pixel_array(dataset, index=0)
        return grey_table(dataset)[_table_index(stored, dataset)]
    if photometric == "RGB" or photometric.startswith("YBR"):
        red_green_blue = np.asarray(pixel_array(dataset, index=0), np.float32)  # (rows, columns, 3); YBR is converted
        luma = red_green_blue @ np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow's "L"
        grey: Grey = np.clip(luma / np.float32(2 ** int(dataset.BitsStored) - 1), 0.0, 1.0)
        return grey
    raise ImageError("image_unreadable")


def grey_table(dataset: pydicom.Dataset) -> Grey:
    """The grey-scale chain for every possible stored value, from the lowest up.

    Returns:
        (2 ** BitsStored,) float32 in [0, 1].
    """
    bits = int(dataset.BitsStored)
    if not 1 <= bits <= 16:
        raise ImageError("image_unreadable")
    lowest = -(2 ** (bits - 1)) if int(dataset.PixelRepresentation) else 0
    modality, black, white = _modality(np.arange(lowest, lowest + 2**bits, dtype=np.int64), dataset)
    grey = _voi(modality, dataset)
    if grey is None:
        if not white > black:
            raise ImageError("image_unreadable")
        grey = (modality - black) / (white - black)
    if dataset.PhotometricInterpretation == "MONOCHROME1" or dataset.get("PresentationLUTShape") == "INVERSE":
        grey = 1.0 - grey  # once: DX requires INVERSE with MONOCHROME1, they say the same
    if not np.isfinite(grey).all():
        raise ImageError("image_unreadable")
    return np.clip(grey, 0.0, 1.0).astype(np.float32)


def _table_index(stored: Array, dataset: pydicom.Dataset) -> Array:
    """Place of each stored value in `grey_table`; pydicom has cleared the bits above BitsStored (old overlays)."""
    index: Array = stored.astype(np.int32)
    if int(dataset.PixelRepresentation):
        index += 1 << (int(dataset.BitsStored) - 1)
    return index


def _modality(stored: Array, dataset: pydicom.Dataset) -> tuple[Array, float, float]:
    """Modality LUT or rescale (PS3.3 C.11.1): values, and the theoretical lowest and highest of them."""
    if dataset.get("ModalityLUTSequence"):
        table, first, depth = _lut(dataset.ModalityLUTSequence[0], dataset)
        return _look_up(stored, table, first), 0.0, float(2**depth - 1)
    slope = float(1.0 if dataset.get("RescaleSlope") is None else dataset.RescaleSlope)
    intercept = float(dataset.get("RescaleIntercept") or 0.0)
    values = stored * slope + intercept
    return values, float(values.min()), float(values.max())


def _voi(values: Array, dataset: pydicom.Dataset) -> Array | None:
    """VOI LUT, else the first usable window (PS3.3 C.11.2), in [0, 1]; None where the file has neither."""
    if dataset.get("VOILUTSequence"):
        table, first, depth = _lut(dataset.VOILUTSequence[0], dataset)
        return _look_up(np.rint(values).astype(np.int64), table, first) / float(2**depth - 1)
    function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    for center, width in zip(_numbers(dataset.get("WindowCenter")), _numbers(dataset.get("WindowWidth")), strict=False):
        if width >= 1 or (width > 0 and function != "LINEAR"):  # 0 and less are illegal and mean no window
            return _window(values, center, width, function)
    return None


def _window(values: Array, center: float, width: float, function: str) -> Array:
    """One window (PS3.3 C.11.2.1.2 and C.11.2.1.3), in [0, 1]."""
    if function == "SIGMOID":
        return 1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - center) / width, -700.0, 700.0)))
    if function == "LINEAR":
        center, width = center - 0.5, width - 1.0
    elif function != "LINEAR_EXACT":
        raise ImageError("image_unreadable")
    if width == 0.0:
        return np.where(values > center, 1.0, 0.0)
    return np.clip((values - center) / width + 0.5, 0.0, 1.0)


def _look_up(values: Array, table: Array, first: int) -> Array:
    """Values below the first entry take the first, those above the last entry the last (PS3.3 C.11.1.1.1)."""
    looked_up: Array = table[np.clip(values - first, 0, len(table) - 1)]
    return looked_up


def _lut(item: pydicom.Dataset, dataset: pydicom.Dataset) -> tuple[Array, int, int]:
    """One item of a LUT sequence: (table (N,) float64, stored value of its first entry, bits of an entry)."""
    entries, first, depth = (int(number) for number in item.LUTDescriptor)
    entries = entries or 2**16
    raw = item.LUTData
    if isinstance(raw, bytes):
        little_endian = dataset.original_encoding[1] is not False
        word = ("<u2" if little_endian else ">u2") if len(raw) >= 2 * entries else "u1"
        table = np.frombuffer(raw, word)
    else:
        table = np.atleast_1d(np.asarray(raw)) & 0xFFFF
    if not 8 <= depth <= 16 or len(table) < entries:
        raise ImageError("image_unreadable")
    return table[:entries].astype(np.float64), first, depth


def _numbers(value: Any) -> list[float]:
    """A numeric element of one or many values, or none."""
    if value is None or value == "":
        return []
    many = value if hasattr(value, "__iter__") and not isinstance(value, str) else [value]
    return [float(one) for one in many]
