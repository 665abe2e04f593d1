"""How far an embedding lies from those seen in training: Mahalanobis distance over a threshold.

Above 1 the input is unlike the training data, and its result should be called indeterminate. The threshold is a
percentile of the distances of held-back training data, so about that share of ordinary inputs is
flagged too. Mean, whitening and threshold are buffers: they travel with the weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

PERCENTILE = 99.5
"""By default one in two hundred ordinary held-back inputs is flagged."""


class Novelty(nn.Module):
    """Distance to the training embeddings, relative to the threshold. Unfitted, it calls nothing novel.

    Args:
        size: Width of the embedding.
    """

    mean: Tensor
    whitening: Tensor
    threshold: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("whitening", torch.eye(size))
        self.register_buffer("threshold", torch.tensor(torch.inf))

    def _distance(self, embedding: Tensor) -> Tensor:
        whitened = (embedding - self.mean) @ self.whitening
        distance: Tensor = torch.linalg.vector_norm(whitened, dim=1)
        return distance

    def forward(self, embedding: Tensor) -> Tensor:
        """(B, size) to (B,): distance / threshold, > 1 is out of distribution."""
        return self._distance(embedding) / self.threshold

    def fit(self, training: Tensor, held_back: Tensor, percentile: float = PERCENTILE) -> None:
        """Set the buffers.

        Args:
            training: (N, size) embeddings that give mean and covariance.
            held_back: (M, size) other ordinary embeddings, whose distances give the threshold.
            percentile: Of those distances that is the threshold.
        """
        self.mean.copy_(training.mean(0))
        covariance = torch.cov(training.T)
        # A ridge of 1 % of the mean variance keeps directions that training never used from counting as infinitely far.
        ridge = 0.01 * covariance.diagonal().mean() + 1e-8
        values, vectors = torch.linalg.eigh(covariance + ridge * torch.eye(len(covariance)))
        self.whitening.copy_(vectors * values.rsqrt())
        self.threshold.copy_(torch.quantile(self._distance(held_back), percentile / 100))

    def fit_crosswise(self, training: Tensor, fold: Tensor, percentile: float = PERCENTILE) -> None:
        """Set the buffers, each input held back once: the threshold then rests on all of them.

        Args:
            training: (N, size) embeddings that give mean, covariance and threshold.
            fold: (N,) number of the part in which an input is held back; inputs of one person share it.
            percentile: Of the held-back distances that is the threshold.
        """
        distance = torch.empty(len(training))
        for part in sorted(set(fold.tolist())):
            self.fit(training[fold != part], training[:1])
            distance[fold == part] = self._distance(training[fold == part])
        self.fit(training, training[:1])
        self.threshold.copy_(torch.quantile(distance, percentile / 100))
