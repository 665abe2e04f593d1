"""A bag of words: the sum of a vector for each word of a text, weighted by TF-IDF.

A word counts by 1 + log(how often it stands in the text) times its inverse document frequency, and the weights of a
text have length 1 (Salton and Buckley 1988). What a text is about lies mostly in its words, wherever they stand: this
reads all of it at little cost, where attention reads the beginning with care.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.tokens import PAD


class WordBag(nn.Module):
    """Vectors of words.

    Args:
        vocabulary: Entries of the tokenizer.
        width: Of a vector.
    """

    rarity: Tensor

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, width)
        nn.init.normal_(self.table.weight, std=0.1)
        self.register_buffer("rarity", torch.ones(vocabulary))

    def shares(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Weight of each place: a word's weight in the text, in equal parts to the places where it stands.

        Args:
            ids: (B, T) int64, PAD at padding.
            mask: (B, T) bool, True where a token stands.

        Returns:
            (B, T), 0 at padding.
        """
        counts = ids.new_zeros(len(ids), len(self.rarity), dtype=self.rarity.dtype)
        counts.scatter_add_(1, ids, mask.to(counts.dtype))
        counts[:, PAD] = 0
        # log of at least 1: what does not stand in the text weighs nothing, and is multiplied away.
        weight = (1 + counts.clamp(min=1).log()) * self.rarity * (counts > 0)
        weight = weight / torch.linalg.vector_norm(weight, dim=1, keepdim=True).clamp(min=1e-6)
        each: Tensor = weight.gather(1, ids) / counts.gather(1, ids).clamp(min=1) * mask
        return each

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """What each place adds to the sum: (B, T) ids and mask, as in `shares`, to (B, T, width)."""
        added: Tensor = self.table(ids) * self.shares(ids, mask)[..., None]
        return added
