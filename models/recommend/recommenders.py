"""Everything fitted on one set of histories: the hybrid, and the baselines that its figures stand beside.

It holds all that is needed to score unseen patients and no patient's data, so others can judge it without fitting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from safetensors import SafetensorError

from models.recommend.baselines import ItemNeighbours, Popularity
from models.recommend.collaborative import CollaborativeFiltering
from models.recommend.content import ContentFilter
from models.recommend.hybrid import Hybrid

Matrix = npt.NDArray[np.float64]

DRUGS_FILE: Final = "drugs.safetensors"
"""Recommenders of drugs, in the folder of the ranker: to be judged, no worker uses them."""

ACCEPTANCE: Final = "hybrid.acceptance"
"""The tensor that only recommenders have that learned from answers."""

METHODS: Final = ("collaborative", "content", "hybrid", "popularity", "popularity by possession", "item-kNN")
"""What figures compare, in the order of `Recommenders.scores`."""


@dataclass(frozen=True, slots=True)
class Recommenders:
    """The recommenders of one set of items.

    Attributes:
        hybrid: With its content and collaborative part.
        popularity: Baseline.
        neighbours: Baseline.
    """

    hybrid: Hybrid
    popularity: Popularity
    neighbours: ItemNeighbours

    @classmethod
    def of(cls, hybrid: Hybrid, history: npt.NDArray[np.floating], target: npt.NDArray[np.bool_],
           candidate: npt.NDArray[np.bool_]) -> Self:  # fmt: skip
        """A fitted hybrid, with baselines fitted on the same (N, H) history, (N, A) target and candidates."""
        popularity = Popularity.fit(history, target, candidate)
        return cls(hybrid, popularity, ItemNeighbours.fit(history, target, popularity))

    @classmethod
    def unfitted(cls, history: int, features: int, items: int) -> Self:
        """Recommenders that have learned nothing."""
        hybrid = Hybrid(ContentFilter.unfitted(features, items), CollaborativeFiltering.unfitted(history, items))
        nothing = np.zeros(items)
        popularity = Popularity(nothing, nothing, nothing, nothing)
        return cls(hybrid, popularity, ItemNeighbours(np.zeros((history, items)), popularity))

    def scores(self, history: npt.NDArray[np.floating], features: npt.NDArray[np.floating]) -> dict[str, Matrix]:
        """(B, A) of each of `METHODS`, from (B, H) history and (B, F) features."""
        every = (
            self.hybrid.collaborative.scores(history),
            self.hybrid.content.scores(features),
            self.hybrid.scores(history, features),
            self.popularity.scores(history),
            self.popularity.scores_by_possession(history),
            self.neighbours.scores(history),
        )
        return dict(zip(METHODS, every, strict=True))

    def state_dict(self) -> dict[str, torch.Tensor]:
        """All that is learned, as float64 tensors by name."""
        content, by_history = self.hybrid.content, self.hybrid.collaborative
        arrays = {
            "content.mean": content.mean,
            "content.scale": content.scale,
            "content.weights": content.weights,
            "content.usual": content.usual,
            "collaborative.history_factors": by_history.history_factors,
            "collaborative.item_factors": by_history.item_factors,
            "collaborative.everyone": by_history.everyone,
            "collaborative.hyperparameters": np.array([by_history.alpha, by_history.regularisation]),
            "hybrid.weights": np.array([self.hybrid.content_weight, self.hybrid.collaborative_weight]),
            "neighbours.similarity": self.neighbours.similarity,
        }
        if self.hybrid.acceptance.any():
            arrays[ACCEPTANCE] = self.hybrid.acceptance
        arrays |= {f"popularity.{field.name}": getattr(self.popularity, field.name) for field in fields(Popularity)}
        return {name: torch.tensor(np.ascontiguousarray(array)) for name, array in arrays.items()}

    def to_bytes(self) -> bytes:
        """A safetensors file of `state_dict`."""
        return safetensors.torch.save(self.state_dict())

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """The recommenders that `to_bytes` came from.

        Raises:
            ValueError: It is no such file.
        """
        try:
            return cls.from_state_dict(safetensors.torch.load(content))
        except (SafetensorError, KeyError) as error:
            raise ValueError(f"no file of recommenders: {error}") from error

    @classmethod
    def from_state_dict(cls, state: Mapping[str, torch.Tensor]) -> Self:
        """The recommenders that `state_dict` came from."""
        arrays = {name: tensor.numpy() for name, tensor in state.items()}
        content = ContentFilter(*(arrays[f"content.{name}"] for name in ("mean", "scale", "weights", "usual")))
        alpha, regularisation = arrays["collaborative.hyperparameters"].tolist()
        by_history = CollaborativeFiltering(
            *(arrays[f"collaborative.{name}"] for name in ("history_factors", "item_factors", "everyone")),
            alpha=alpha,
            regularisation=regularisation,
        )
        popularity = Popularity(*(arrays[f"popularity.{field.name}"] for field in fields(Popularity)))
        acceptance = arrays.get(ACCEPTANCE, np.zeros(len(content.usual)))
        by_content_weight, by_history_weight = arrays["hybrid.weights"].tolist()
        hybrid = Hybrid(content, by_history, by_content_weight, by_history_weight, acceptance)
        return cls(hybrid, popularity, ItemNeighbours(arrays["neighbours.similarity"], popularity))
