"""Late fusion: one sepsis risk from what is there of vitals, note and image.

Log odds add up. Vitals bring their own calibrated logit; a note and an image each bring evidence for or against it,
bounded so that neither can drown the vitals. What is absent adds nothing and its content is never looked at; what is
old fades. With vitals alone and fresh, the fused risk is the vitals risk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from models import imaging, notes

MODALITIES: Final = ("vitals", "notes", "imaging")


@dataclass(frozen=True, slots=True)
class FusionConfig:
    """Constants that no data here could teach.

    Attributes:
        bound: Most log odds that a note or an image can add or take.
        fade_h: Hours after which a modality's part has fallen to 1/e: vitals, notes, imaging. Policy, not evidence.
    """

    bound: float = 1.5
    fade_h: tuple[float, float, float] = (24.0, 72.0, 72.0)


class LateFusion(nn.Module):
    """The sum.

    Args:
        config: Constants.
    """

    base: Tensor
    fade_h: Tensor

    def __init__(self, config: FusionConfig | None = None) -> None:
        super().__init__()
        self.config = config or FusionConfig()
        self.register_buffer("base", torch.tensor(-4.0))  # log odds of the training base rate
        self.register_buffer("fade_h", torch.tensor(self.config.fade_h))
        self.note = nn.Linear(notes.EMBEDDING, 1)
        self.image = nn.Linear(imaging.EMBEDDING, 1)

    def evidence(self, layer: nn.Linear, embedding: Tensor) -> Tensor:
        """(B, 32) to (B,) log odds within the bound."""
        return self.config.bound * torch.tanh(layer(embedding).squeeze(-1) / self.config.bound)

    def forward(
        self, vitals_logit: Tensor, note_embedding: Tensor, image_embedding: Tensor, present: Tensor, age_h: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Fuse.

        Args:
            vitals_logit: (B,) calibrated logit of sepsis_6h.
            note_embedding: (B, 32).
            image_embedding: (B, 32).
            present: (B, 3) bool, in the order of MODALITIES. What stands in the inputs where False, NaN included,
                does not matter.
            age_h: (B, 3) hours since each was seen; NaN counts as 0.

        Returns:
            Risk logit (B,), the base rate where nothing is present; and shares (B, 3) >= 0 of the absolute log odds
            each modality moved it from the base rate, which sum to 1, or to 0 where nothing moved it.
        """
        note, image = self.evidence(self.note, note_embedding), self.evidence(self.image, image_embedding)
        parts = torch.stack((vitals_logit - self.base, note, image), 1)
        fade = torch.exp(-torch.nan_to_num(age_h, nan=0.0).clamp(min=0) / self.fade_h)
        parts = torch.where(present, parts * fade, 0.0)
        weight = parts.abs()
        return self.base + parts.sum(1), weight / weight.sum(1, keepdim=True).clamp(min=1e-6)
