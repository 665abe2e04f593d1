"""Bytes of a PNG, JPEG or DICOM become the (1, 224, 224) float32 picture that the imaging model reads.

Grey in [0, 1], 0 black. Colour is turned to luma (ITU-R BT.601), alpha is dropped, 16-bit PNG keeps its 16 bits and is
scaled by 65535. The picture is squashed to 224 x 224, its aspect ratio not kept, bilinear with antialiasing (each
output pixel averages all input pixels under it): so was the training set made, and a model should see what it learned.

Limits come before work: pixels and frames are read from the header. Decoding hostile bytes is still a risk to
the process it runs in (memory, endless loops, crashes in C code), which is what `workers.images.pool` is for. This
module imports no torch, so that the pool's processes start fast and stay small.
"""

from __future__ import annotations

import warnings
from io import BytesIO
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from workers.images import dicom
from workers.images.errors import ImageError

SIDE: Final = 224
"""Rows and columns of what comes out."""

DEFAULT_MAX_PIXELS: Final = 64_000_000
"""Rows x columns that are decoded at most, unless the caller says otherwise."""

MEDIA_TYPES: Final = {"image/png": "PNG", "image/jpeg": "JPEG", "application/dicom": "DICOM"}
"""What is decoded, and Pillow's name of it."""

_SIXTEEN_BIT: Final = {"I", "I;16", "I;16L", "I;16B", "I;16N"}  # Pillow's modes of 16-bit grey PNG

Grey = npt.NDArray[np.float32]


def decode(data: bytes, media_type: str, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Grey:
    """Decodes one image.

    Args:
        data: The image object, whole.
        media_type: One of `MEDIA_TYPES`, parameters after `;` and case ignored. The bytes must be of that type.
        max_pixels: Limit on rows x columns.

    Returns:
        (1, 224, 224) float32, C-contiguous, finite, in [0, 1].

    Raises:
        ImageError: `image_too_large` over the limit on pixels, frames or memory, else `image_unreadable`.
    """
    kind = MEDIA_TYPES.get(media_type.partition(";")[0].strip().lower())
    if kind is None:
        raise ImageError("image_unreadable")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom's warnings quote header values
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            if kind == "DICOM":
                return resize(dicom.read(data, max_pixels=max_pixels))
            return resize(_read_raster(data, kind, max_pixels=max_pixels))
    except ImageError:
        raise
    except (MemoryError, Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise ImageError("image_too_large") from None
    except Exception:  # noqa: BLE001  # decoders raise anything at all on broken bytes; it always means this, and may quote them
        raise ImageError("image_unreadable") from None


def resize(grey: Grey) -> Grey:
    """(rows, columns) float32 in [0, 1] -> (1, 224, 224), squashed, bilinear with antialiasing."""
    if grey.shape != (SIDE, SIDE):
        grey = np.asarray(Image.fromarray(grey).resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32)
    return np.ascontiguousarray(np.clip(grey, 0.0, 1.0)[None])


def _read_raster(data: bytes, kind: str, *, max_pixels: int) -> Grey:
    """PNG or JPEG -> (rows, columns) float32 in [0, 1], turned upright as its EXIF orientation says."""
    with Image.open(BytesIO(data), formats=[kind]) as image:
        if image.width * image.height > max_pixels or getattr(image, "n_frames", 1) > dicom.MAX_FRAMES:
            raise ImageError("image_too_large")
        upright = ImageOps.exif_transpose(image)
        if upright.mode in _SIXTEEN_BIT:
            return np.asarray(upright, np.float32) / np.float32(65535)
        if upright.mode == "P":
            upright = upright.convert("RGBA").convert("RGB")  # a palette may hold alpha, which "L" can't take directly
        return np.asarray(upright.convert("L"), np.float32) / np.float32(255)
