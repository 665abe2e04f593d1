"""How strangely a text is written, whatever it is about.

Other languages fall into rare words and pieces of words, nonsense into unknown tokens, program code into marks that no
note has. The mean over the tokens is compared with what is usual for a text of that length, for short ones vary more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor, nn

from models.tokens import INSIDE, UNKNOWN

_PIECE: Final = 3.0
_MARK: Final = 6.0
"""What a piece inside a word, and an odd mark, add to the rarity of a token (about 2 to 3 on average in a note, 8 for a
word never seen)."""

_ODD_MARKS: Final = frozenset("=<>[]{}_*|\\^~$@`#")
_LONG: Final = 80
_PERCENTILE: Final = 0.995


class Writing(nn.Module):
    """Strangeness over what is usual; above 1 it is foreign. Unfitted, it calls nothing so.

    Args:
        vocabulary: Entries of the tokenizer.
    """

    strange: Tensor
    usual: Tensor
    slack: Tensor

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.register_buffer("strange", torch.zeros(vocabulary))
        self.register_buffer("usual", torch.tensor(torch.inf))
        self.register_buffer("slack", torch.tensor(0.0))

    def learn(self, vocabulary: Sequence[str], rarity: Tensor) -> None:
        """Set each token's strangeness.

        Args:
            vocabulary: Tokens by id.
            rarity: (V,) inverse document frequency, log scale.
        """
        piece = torch.tensor([float(word.startswith(INSIDE)) for word in vocabulary])
        piece[UNKNOWN] = 1
        mark = torch.tensor([float(word in _ODD_MARKS) for word in vocabulary])
        self.strange.copy_(rarity + _PIECE * piece + _MARK * mark)

    def mean(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T) ids and mask to (B,) mean strangeness and (B,) number of tokens, at least 1."""
        count = mask.sum(1).clamp(min=1)
        return (self.strange[ids] * mask).sum(1) / count, count

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """(B, T) ids and mask to (B,), > 1 is foreign."""
        found, count = self.mean(ids, mask)
        over: Tensor = found / (self.usual + self.slack * count.rsqrt())
        return over

    def fit(self, found: Tensor, count: Tensor) -> None:
        """Set what is usual, so that about one in two hundred ordinary texts, and of long ones, lies above.

        Args:
            found: (N,) mean strangeness of ordinary texts that nothing was learned from.
            count: (N,) their tokens.
        """
        long = count >= _LONG
        usual = torch.quantile(found[long] if long.any() else found, _PERCENTILE)
        self.usual.copy_(usual)
        self.slack.copy_(torch.quantile((found - usual) * count.sqrt(), _PERCENTILE).clamp(min=0))
