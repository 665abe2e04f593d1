"""Multi-head attention, softmax(Q K^T / sqrt(d_k)) V in each head (Vaswani et al. 2017).

d_k is the width of one head, not of the model. Masked keys get weight zero; a query whose keys are all masked gets
the output bias and nothing else, never NaN.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class MultiHeadAttention(nn.Module):
    """Attention of `heads` heads over a model of width `dim`.

    Args:
        dim: Width of query, key, value and output.
        heads: Number of heads; divides `dim`.

    Raises:
        ValueError: `heads` does not divide `dim`.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"{heads} heads do not divide a width of {dim}")
        self.heads = heads
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)

    def _split(self, x: Tensor) -> Tensor:
        """(B, T, dim) to (B, heads, T, dim / heads)."""
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, key_mask: Tensor | None = None) -> Tensor:
        """Attend.

        Args:
            query: (B, Tq, dim).
            key: (B, Tk, dim).
            value: (B, Tk, dim). What stands at masked keys does not matter as long as it is finite.
            key_mask: (B, Tk) bool, True where the key is real; None: all are.

        Returns:
            (B, Tq, dim).
        """
        q, k, v = self._split(self.query(query)), self._split(self.key(key)), self._split(self.value(value))
        if key_mask is None:
            mixed = F.scaled_dot_product_attention(q, k, v)
        else:
            some = key_mask.any(1, keepdim=True)
            # A row without any real key attends everywhere, so that its softmax is defined, and is then set to zero.
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=(key_mask | ~some)[:, None, None, :])
            mixed = torch.where(some[:, :, None, None], mixed, 0.0)
        joined: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return joined
