"""Transformer block: attention, then two linear layers with a GELU between, each added to what came in.

The norm stands before each branch (pre-norm, Xiong et al. 2020: trains without warm-up) or after each sum (post-norm,
Vaswani et al. 2017: what BERT has).
"""

from __future__ import annotations

from torch import Tensor, nn

from models.layers.attention import MultiHeadAttention


class Block(nn.Module):
    """One block.

    Args:
        dim: Width.
        heads: Attention heads; divides dim.
        inner: Width between the two linear layers.
        dropout: Share of each branch's outputs dropped in training.
        post_norm: Whether the norms stand after the sums.
        eps: Added to the variance in the norms.
        activation: Between the linear layers; None: the exact GELU.
    """

    def __init__(
        self, dim: int, heads: int, inner: int, *, dropout: float = 0.0, post_norm: bool = False, eps: float = 1e-5,
        activation: nn.Module | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.post_norm = post_norm
        self.norm_attention = nn.LayerNorm(dim, eps)
        self.attention = MultiHeadAttention(dim, heads)
        self.norm_feed = nn.LayerNorm(dim, eps)
        self.feed = nn.Sequential(nn.Linear(dim, inner), activation or nn.GELU(), nn.Linear(inner, dim))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, T, dim) and (B, T) bool, True where a token stands, to (B, T, dim)."""
        y: Tensor
        if self.post_norm:
            x = self.norm_attention(x + self.dropout(self.attention(x, x, x, mask)))
            y = self.norm_feed(x + self.dropout(self.feed(x)))
            return y
        normed = self.norm_attention(x)
        x = x + self.dropout(self.attention(normed, normed, normed, mask))
        y = x + self.dropout(self.feed(self.norm_feed(x)))
        return y
