"""The notes network: two attention blocks over subwords, to specialties, an embedding and the words that counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.layers.block import Block
from models.novelty import Novelty
from models.tokens import PAD

EMBEDDING: Final = 32


@dataclass(frozen=True, slots=True)
class NotesConfig:
    """Sizes.

    Attributes:
        vocabulary: Entries of the tokenizer.
        labels: Number of specialties.
        dim: Width of a token.
        heads: Attention heads; divides dim.
        blocks: Attention blocks.
        max_tokens: Most tokens of a note; the rest of it is not read.
    """

    vocabulary: int
    labels: int
    dim: int = 96
    heads: int = 4
    blocks: int = 2
    max_tokens: int = 256


class NotesOut(NamedTuple):
    """Results of a batch.

    Attributes:
        embedding: (B, 32).
        logits: (B, L), one independent label each (multi-label).
        saliency: (B, T) signed share of each token in the highest logit; they sum to that logit less its bias. 0 at
            padding.
        novelty: (B,), > 1 is out of distribution.
    """

    embedding: Tensor
    logits: Tensor
    saliency: Tensor
    novelty: Tensor


class NotesEncoder(nn.Module):
    """Embedding, attention blocks, attention pooling, projection, linear read-out.

    Args:
        config: Sizes.
        dropout: In training only.
    """

    def __init__(self, config: NotesConfig, *, dropout: float = 0.2) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocabulary, config.dim, padding_idx=PAD)
        self.positions = nn.Parameter(torch.zeros(config.max_tokens, config.dim))
        nn.init.normal_(self.tokens.weight, std=0.1)
        nn.init.normal_(self.positions, std=0.02)
        self.blocks = nn.ModuleList(
            Block(config.dim, config.heads, 2 * config.dim, dropout=dropout) for _ in range(config.blocks)
        )
        self.norm = nn.LayerNorm(config.dim)
        self.dropout = nn.Dropout(dropout)
        self.pool = nn.Linear(config.dim, 1)
        self.project = nn.Linear(config.dim, EMBEDDING, bias=False)
        self.head = nn.Linear(EMBEDDING, config.labels)
        self.novelty = Novelty(EMBEDDING)

    def forward(self, ids: Tensor, mask: Tensor) -> NotesOut:
        """Encode.

        Args:
            ids: (B, T) int64, T <= max_tokens.
            mask: (B, T) bool, True where a token stands; ids elsewhere do not matter. A note without tokens gets the
                zero embedding.

        Returns:
            See `NotesOut`.
        """
        x = self.dropout(self.tokens(ids.masked_fill(~mask, PAD)) + self.positions[: ids.shape[1]])
        for block in self.blocks:
            x = block(x, mask)
        x = self.norm(x)
        # The least finite score rather than -inf: a row without tokens must not become NaN.
        scores = self.pool(x).squeeze(-1).masked_fill(~mask, torch.finfo(x.dtype).min)
        weights = torch.softmax(scores, 1) * mask
        places = self.project(x) * weights[..., None]
        embedding = places.sum(1)
        logits = self.head(F.dropout(embedding, 0.1, self.training))
        saliency = torch.einsum("btc,bc->bt", places, self.head.weight[logits.argmax(1)])
        return NotesOut(embedding, logits, saliency, self.novelty(embedding))
