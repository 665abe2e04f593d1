"""Logistic regression over bags of words and over the mean of their vectors, solved as one convex problem.

With N texts and many more words than texts, the weights are a sum over the texts: only an (N, N) matrix of their
likenesses is needed. What comes out is one number a word and class, whichever of the two it was learned through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from models.layers.bag import WordBag
from models.tokens import PAD, NoteTokenizer

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Linear:
    """A solved problem: logits are the bag's sum of `table` plus `bias`.

    Attributes:
        table: (V, C).
        bias: (C,).
    """

    table: Tensor
    bias: Tensor


def mean(solutions: Sequence[Linear]) -> Linear:
    """The solution whose logits are the mean of theirs."""
    return Linear(
        torch.stack([one.table for one in solutions]).mean(0), torch.stack([one.bias for one in solutions]).mean(0)
    )


class Texts:
    """N texts as a bag's weights and as means of word vectors.

    Args:
        texts: N texts.
        tokenizer: Of the network.
        max_tokens: Of a text that are read.
        vectors: (V, D) of words; None: the words themselves are all there is.
        usual: The first so many texts tell how rare a word is, and what the mean of the vectors is.
    """

    def __init__(
        self, texts: Sequence[str], tokenizer: NoteTokenizer, max_tokens: int, vectors: Floats | None, usual: int
    ) -> None:
        bag = WordBag(len(tokenizer), 1)
        every = [tokenizer.encode([text], max_tokens) for text in texts]
        used = np.unique(np.concatenate([one.ids[one.mask] for one in every]))
        seen = np.zeros(len(tokenizer), np.float32)
        for one in every[:usual]:
            seen[np.unique(one.ids[one.mask])] += 1
        self.rarity = torch.from_numpy(np.log((1 + usual) / (1 + seen)) + 1).float()
        bag.rarity.copy_(self.rarity)
        self._used = torch.from_numpy(used[used != PAD])
        self._words = torch.zeros(len(texts), len(self._used))
        for row, one in enumerate(every):
            ids, mask = torch.from_numpy(one.ids), torch.from_numpy(one.mask)
            place = torch.searchsorted(self._used, ids[mask])
            self._words[row].scatter_add_(0, place, bag.shares(ids, mask)[mask])
        self._vectors = None if vectors is None else torch.from_numpy(vectors)
        self._products = self._words @ self._words.T
        if self._vectors is not None:
            means = self._words @ self._vectors[self._used]
            self._mean = means[:usual].mean(0)
            self._spread = float(means[:usual].std(0).mean()) * means.shape[1] ** 0.5
            self._means = (means - self._mean) / self._spread

    def likeness(self, scale: float) -> Tensor:
        """(N, N) products of the texts, with the vectors at this weight beside the words."""
        if self._vectors is None:
            return self._products
        return self._products.addmm(self._means, self._means.T, alpha=scale**2)

    def fold(self, dual: Tensor, bias: Tensor, scale: float) -> Linear:
        """A solution over the products at this weight, (N, C) and (C,), as numbers of words."""
        table = torch.zeros(len(self.rarity), dual.shape[1])
        table[self._used] = self._words.T @ dual
        if self._vectors is not None:
            through = self._means.T @ dual * (scale**2 / self._spread)
            table += self._vectors @ through
            bias = bias - self._mean @ through
        return Linear(table, bias)


def solve(
    likeness: Tensor, label: Tensor, weight: Tensor, strength: float, *, steps: int = 60
) -> tuple[Tensor, Tensor]:
    """Minimise strength * weighted log loss + half the squared length of the weights, for each class by itself.

    Args:
        likeness: (N, N) products of the texts.
        label: (N, C) 0 or 1.
        weight: (N, C) of each text in each class's loss.
        strength: The larger, the closer the fit (C of scikit-learn).
        steps: Most steps of L-BFGS.

    Returns:
        (N, C) and (C,): the logits of texts with products (M, N) are products @ the first + the second.
    """
    # In the basis of the Cholesky factor the penalty is round, and few steps do.
    # The ridge is larger than the rounding of single precision.
    exact = likeness.double()
    ridge = 1e-5 * exact.diagonal().mean() * torch.eye(len(exact), dtype=torch.float64)
    root = torch.linalg.cholesky(exact + ridge)
    inner, single = torch.zeros(label.shape, requires_grad=True), root.float()
    bias = torch.zeros(label.shape[1], requires_grad=True)
    optimiser = torch.optim.LBFGS([inner, bias], max_iter=steps, line_search_fn="strong_wolfe", tolerance_change=1e-9)

    def loss() -> Tensor:
        optimiser.zero_grad()
        misfit = F.binary_cross_entropy_with_logits(single @ inner + bias, label, weight, reduction="sum")
        value = strength * misfit + (inner * inner).sum() / 2
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    dual = torch.linalg.solve_triangular(root.T, inner.detach().double(), upper=True).float()
    return dual, bias.detach()


def out_of_fold(likeness: Tensor, label: Tensor, weight: Tensor, strength: float, fold: NDArray[np.int64]) -> Tensor:
    """What a solution without a text says of it.

    Args:
        likeness: (N, N).
        label: (N, C) 0 or 1.
        weight: (N, C).
        strength: As in `solve`.
        fold: (N,) texts of one fold are left out together; texts of one note must be in one.

    Returns:
        (N, C) logits.
    """
    found = torch.zeros(label.shape)
    for number in np.unique(fold).tolist():
        out, others = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        dual, bias = solve(likeness[others][:, others], label[others], weight[others], strength, steps=40)
        found[out] = likeness[out][:, others] @ dual + bias
    return found


def balanced(label: Tensor) -> Tensor:
    """Weights that give the texts with and without a class the same part in its loss: (N, C) 0 or 1 to (N, C)."""
    share = label.mean(0).clamp(min=1 / len(label))
    return torch.where(label > 0, 0.5 / share, 0.5 / (1 - share).clamp(min=1 / len(label)))
