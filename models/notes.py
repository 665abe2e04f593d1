"""The notes network: a bag of all words and attention over the beginning, to specialties, an embedding and a section.

Both ways end in the same embedding, as the sum of what each place of the note adds; so a label's logit is a sum over
places too, and the words that counted can be told exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.layers.bag import WordBag
from models.layers.block import Block
from models.layers.writing import Writing
from models.novelty import Novelty
from models.tokens import PAD

EMBEDDING: Final = 32


@dataclass(frozen=True, slots=True)
class NotesConfig:
    """Sizes.

    Attributes:
        vocabulary: Entries of the tokenizer.
        labels: Number of specialties.
        sections: Number of section headers; 0 where they were not learned.
        dim: Width of a token in the attention blocks.
        heads: Attention heads; divides dim.
        blocks: Attention blocks.
        attended: Tokens that the attention blocks read, from the beginning.
        max_tokens: Most tokens of a note that are read at all.
    """

    vocabulary: int
    labels: int
    sections: int = 0
    dim: int = 96
    heads: int = 4
    blocks: int = 2
    attended: int = 256
    max_tokens: int = 2048


class NotesOut(NamedTuple):
    """Results of a batch.

    Attributes:
        embedding: (B, 32).
        logits: (B, L), one independent label each (multi-label).
        saliency: (B, T) signed share of each token in the highest logit; they sum to that logit less its bias. 0 at
            padding.
        novelty: (B,), > 1 is out of distribution: by its embedding, or by how it is written.
    """

    embedding: Tensor
    logits: Tensor
    saliency: Tensor
    novelty: Tensor


class NotesEncoder(nn.Module):
    """Word bag beside embedding, attention blocks, attention pooling and projection; linear read-outs.

    Args:
        config: Sizes.
        dropout: In training only.
    """

    def __init__(self, config: NotesConfig, *, dropout: float = 0.2) -> None:
        super().__init__()
        self.config = config
        self.bag = WordBag(config.vocabulary, EMBEDDING)
        self.tokens = nn.Embedding(config.vocabulary, config.dim, padding_idx=PAD)
        self.positions = nn.Parameter(torch.zeros(config.attended, config.dim))
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
        self.section_bag = WordBag(config.vocabulary, config.sections) if config.sections else None
        self.section_head = nn.Linear(config.dim, config.sections) if config.sections else None
        self.novelty = Novelty(EMBEDDING)
        self.writing = Writing(config.vocabulary)

    def attend(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Attention over the beginning: (B, T) ids and mask to (B, T', dim) outputs and (B, T') weights of places."""
        ids, mask = ids[:, : self.config.attended], mask[:, : self.config.attended]
        x = self.dropout(self.tokens(ids) + self.positions[: ids.shape[1]])
        for block in self.blocks:
            x = block(x, mask)
        x = self.norm(x)
        # The least finite score rather than -inf: a row without tokens must not become NaN.
        scores = self.pool(x).squeeze(-1).masked_fill(~mask, torch.finfo(x.dtype).min)
        return x, torch.softmax(scores, 1) * mask

    def pooled(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Weighted mean of the attended places: (B, T) ids and mask to (B, dim)."""
        x, weights = self.attend(ids, mask)
        return (x * weights[..., None]).sum(1)

    def forward(self, ids: Tensor, mask: Tensor) -> NotesOut:
        """Encode.

        Args:
            ids: (B, T) int64, T <= max_tokens.
            mask: (B, T) bool, True where a token stands; ids elsewhere do not matter. A note without tokens gets the
                zero embedding.

        Returns:
            See `NotesOut`.
        """
        ids = ids.masked_fill(~mask, PAD)
        x, weights = self.attend(ids, mask)
        attended = self.project(x) * weights[..., None]
        places = self.bag(ids, mask) + F.pad(attended, (0, 0, 0, ids.shape[1] - attended.shape[1]))
        embedding = places.sum(1)
        logits = self.head(embedding)
        saliency = torch.einsum("btc,bc->bt", places, self.head.weight[logits.argmax(1)])
        novelty = torch.maximum(self.novelty(embedding), self.writing(ids, mask))
        return NotesOut(embedding, logits, saliency, novelty)

    def sections(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Under which header a text would stand: arguments of `forward` to (B, sections) logits of exclusive classes.

        Raises:
            ValueError: Sections were not learned.
        """
        if self.section_bag is None or self.section_head is None:
            raise ValueError("these weights have not learned sections")
        ids = ids.masked_fill(~mask, PAD)
        logits: Tensor = self.section_bag(ids, mask).sum(1) + self.section_head(self.pooled(ids, mask))
        return logits
