"""Weights that the imaging network may start from: EfficientNet-Lite0, trained on photographs (ImageNet).

Three and a half thousand films of one hospital teach a network little that holds elsewhere; edges and textures learned
on a million photographs do not know how that hospital stores its films. Source: Liu 2020, "Higher accuracy on vision
models with EfficientNet-Lite", Apache-2.0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from torch import Tensor

_PARTS: Final = {
    "_expand_conv": "widen.convolution", "_bn0": "widen.norm", "_depthwise_conv": "depthwise.convolution",
    "_bn1": "depthwise.norm", "_project_conv": "narrow.convolution", "_bn2": "narrow.norm",
}  # fmt: skip
_EPSILON: Final = 1e-3 - 1e-5
"""What these normalisations add to the variance, less what ours add."""


def of_lite0(state: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename what we use.

    Args:
        state: Of EfficientNet-Lite0 as its PyTorch port names it.
        wanted: State of an `ImagingEncoder` that is to start from it.

    Returns:
        Tensors by the names of `wanted`. The first convolution's three colours are added up, for films are grey.

    Raises:
        ValueError: A tensor is of another shape than that of `wanted`: it is another network.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in state.items():
        ours = _ours(name)
        if ours not in wanted:
            continue
        value = tensor.sum(1, keepdim=True) if ours == "stem.convolution.weight" else tensor
        value = value + _EPSILON if ours.endswith("running_var") else value
        if value.shape != wanted[ours].shape:
            raise ValueError(f"{name} has shape {tuple(value.shape)}, not {tuple(wanted[ours].shape)}")
        found[ours] = value
    return found


def _ours(name: str) -> str:
    """`_blocks.3._bn1.weight` to `blocks.3.depthwise.norm.weight`."""
    in_block = re.fullmatch(r"_blocks\.(\d+)\.(_\w+)\.(\w+)", name)
    if in_block is not None and in_block[2] in _PARTS:
        return f"blocks.{in_block[1]}.{_PARTS[in_block[2]]}.{in_block[3]}"
    return name.replace("_conv_stem.", "stem.convolution.").replace("_bn0.", "stem.norm.")
