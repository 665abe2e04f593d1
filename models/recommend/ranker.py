"""The ranker: rules decide what is listed and how urgent it is, learned scores order only within one urgency.

Listed is every action that the rules indicate and no contraindication blocks (the floor), and what a high model risk
adds. The order is urgency, then floor before additions, then score, then catalogue. So no score, however wrong, drops
a rule's action, lists a blocked one or puts a less urgent before a more urgent one.

Two parts of the score are policy beside what is learned. The guideline part says how strongly the published rule behind
an action is met: 1 - 2^-m for m independent reasons that certainly hold, each counted again where it holds by a
clinical step (`models.clinical.strength`); what is unknown never counts. Diversity steps back: the second action of one
category within one urgency by a penalty, the third by twice that, and so on, so that the first few actions are not all
of one kind. Neither leaves its urgency.

Scores are sums of parts counted in whole units of 2^-12, which float32 adds exactly in any order. The unit is far
coarser than rounding errors of the arithmetic, so a patient is ranked alone as in any batch.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import torch

from models.clinical.actions import Catalogue, Evaluation
from models.clinical.truth import TRUE, Bools, Floats
from models.recommend.recommenders import Recommenders

PARTS: Final = ("rule", "content", "collaborative", "risk", "diversity")
"""Last axis of `Ranking.parts`."""

ADDED_BY_RISK: Final = ("sepsis-screen", "obs-repeat-1h")
"""What a high model risk may add although no rule indicates it."""

NO_CHANGE: Final = "no-action-continue"

_RAISED_BY_RISK: Final = ("sepsis", "monitoring", "escalation")
"""Categories whose actions the model risk moves up within their urgency."""

_STRENGTH: Final = 1.0 - 0.5 ** np.arange(128)
"""Of so many reasons that hold."""

_UNIT: Final = 4096.0
_HIGH_BAND: Final = 2
_LARGEST_WEIGHT: Final = 16.0
_FIRST_WEIGHTS: Final = 3
"""How many weights a ranker had before the guideline part and diversity."""

# The sort key, most significant first: tier, score, action, and how many of its kind come before it.
_TIER_BIT, _SCORE_BIT, _ACTION_BIT, _UNLISTED = 42, 16, 8, np.iinfo(np.int64).max
_ACTION_MASK: Final = (1 << (_SCORE_BIT - _ACTION_BIT)) - 1
_BEFORE_MASK: Final = (1 << _ACTION_BIT) - 1
_SCORE_CEILING: Final = 1 << (_TIER_BIT - _SCORE_BIT - 1)


@dataclass(frozen=True, slots=True)
class RankerWeights:
    """Weights that are policy; those of the content and the collaborative part are learned, and lie in the hybrid.

    Each part lies within plus or minus its weight; diversity within its weight times the length of the list.

    Attributes:
        rule: Of the rule floor; more of it the more urgent.
        risk: Of the model risk above or below `add_at_risk`.
        add_at_risk: Probability from which the risk counts as high where no band is given. The default is the
            operating point of the Advance Alert Monitor (8 %, Escobar 2020); policy, not evidence, for this model.
        guideline: Of the strength of the indication, which is part of `content`.
        diversity: That each further action of a category steps back within its urgency.
    """

    rule: float = 1.0
    risk: float = 0.5
    add_at_risk: float = 0.08
    guideline: float = 0.5
    diversity: float = 0.05

    def __post_init__(self) -> None:
        for field in fields(self):
            _within(field.name, getattr(self, field.name))


def _within(name: str, value: float) -> None:
    if not 0.0 <= value <= _LARGEST_WEIGHT:
        raise ValueError(f"ranker weight {name} is {value}, must lie in 0..{_LARGEST_WEIGHT:g}")


@dataclass(frozen=True, slots=True)
class Ranking:
    """Listed actions of a batch, best first; K is the longest list of the batch.

    Attributes:
        order: (B, K) int16 action indices of the catalogue, -1 after the last.
        score: (B, K) float32, exactly the sum of `parts`; 0 after the last.
        parts: (B, K, 5) float32 signed contributions in the order of `PARTS`.
        floor: (B, K) bool, the rules indicate it; False for what model risk added.
    """

    order: npt.NDArray[np.int16]
    score: Floats
    parts: Floats
    floor: Bools


class Ranker:
    """Ranks the catalogue's actions. Immutable and free of patient data; `state_dict` holds all that is learned."""

    def __init__(self, catalogue: Catalogue, recommenders: Recommenders, weights: RankerWeights) -> None:
        actions = catalogue.actions
        hybrid = recommenders.hybrid
        sizes = {len(hybrid.content.usual), len(hybrid.collaborative.history_factors)}
        if sizes != {len(actions)}:
            known = ", ".join(map(str, sorted(sizes)))
            raise ValueError(f"the recommenders know {known} actions, the catalogue {len(actions)}: fit them again")
        _within("content", hybrid.content_weight)
        _within("collaborative", hybrid.collaborative_weight)
        self.catalogue: Final = catalogue
        self.recommenders: Final = recommenders
        self.weights: Final = weights
        self._urgency: Final = np.array([action.urgency_rank for action in actions], dtype=np.int64)
        self._no_change: Final = catalogue.index[NO_CHANGE]
        self._more_than_routine: Final = self._urgency < self._urgency[self._no_change]
        self._added: Final = np.isin([action.id for action in actions], ADDED_BY_RISK)
        column = np.arange(len(actions), dtype=np.int64)
        self._floor_key: Final = (
            (self._urgency * 2 << _TIER_BIT) + (_SCORE_CEILING << _SCORE_BIT) + (column << _ACTION_BIT)
        )
        self._added_key: Final = self._floor_key + (1 << _TIER_BIT)
        tiers = self._urgency.max() + 1
        self._rule: Final = weights.rule * (tiers - self._urgency) / tiers
        self._learned: Final = hybrid.learned
        self._acceptance: Final = hybrid.acceptance
        self._guideline: Final = np.rint(weights.guideline * _STRENGTH * _UNIT).astype(np.int64)
        self._step: Final = int(np.rint(weights.diversity * _UNIT))
        categories = sorted({action.category for action in actions})
        self._category: Final = np.array([categories.index(action.category) for action in actions], np.int16)
        self._affinity: Final = np.array([action.category in _RAISED_BY_RISK for action in actions])

    @classmethod
    def unfitted(cls, catalogue: Catalogue, features: int, weights: RankerWeights | None = None) -> Self:
        """A ranker that has learned nothing: rules and model risk only."""
        actions = len(catalogue.actions)
        return cls(catalogue, Recommenders.unfitted(actions, features, actions), weights or RankerWeights())

    def rank(
        self,
        evaluation: Evaluation,
        risk: Floats,
        history: Floats,
        features: Floats,
        risk_band: npt.NDArray[np.int8] | None = None,
    ) -> Ranking:
        """Ranks a batch.

        Args:
            evaluation: What the rules say, (B, A).
            risk: (B,) float32 calibrated probability, NaN where the model gave none.
            history: (B, A) float32 strength of recent indications, >= 0.
            features: (B, F) float32, NaN where unknown.
            risk_band: (B,) int8 band of the risk (0 low, 1 medium, 2 high, negative none), where policy decides it;
                without it, a risk from `add_at_risk` is high.
        """
        floor, listed = self._listed(evaluation, self._is_high(risk, risk_band))
        parts = self._parts(floor, evaluation, risk, history, features)
        score = parts[0] + parts[1] + parts[2] + parts[3]
        key, real = self._sorted(floor, listed, score)
        key = self._diverse(key, real)
        order = np.where(real, key >> _ACTION_BIT & _ACTION_MASK, -1)
        diversity = np.where(real, key & _BEFORE_MASK, 0) * -self._step
        at = np.maximum(order, 0) + np.arange(len(order))[:, None] * len(self._urgency)
        unit = real / _UNIT
        shown = [*(part.take(at) for part in parts), diversity]
        return Ranking(
            order=order.astype(np.int16),
            score=((score.take(at) + diversity) * unit).astype(np.float32),
            parts=np.stack([part * unit for part in shown], axis=-1, dtype=np.float32, casting="same_kind"),
            floor=floor.take(at) & real,
        )

    def _sorted(self, floor: Bools, listed: Bools, score: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], Bools]:
        """(B, K) keys of listed actions by urgency, floor before additions, score and catalogue; (B, K) which are any.

        One sort of packed keys.
        """
        key = np.where(floor, self._floor_key, self._added_key) - (score << _SCORE_BIT)
        key[~listed] = _UNLISTED
        key.sort(axis=1)
        count = listed.sum(axis=1)
        key = key[:, : count.max(initial=0)]
        return key, np.arange(key.shape[1]) < count[:, None]

    def _diverse(self, key: npt.NDArray[np.int64], real: Bools) -> npt.NDArray[np.int64]:
        """(B, K) keys anew, once each further action of a kind has stepped back; they say how many come before it."""
        if not self._step:
            return key
        tier = (key >> _TIER_BIT).astype(np.int16)
        kind = self._category.take(np.where(real, key >> _ACTION_BIT & _ACTION_MASK, 0)) + tier * len(self._category)
        before = np.zeros(kind.shape, np.int64)
        for back in range(1, kind.shape[1]):
            before[:, back:] += kind[:, back:] == kind[:, :-back]
        key = np.where(real, key + before * ((self._step << _SCORE_BIT) + 1), _UNLISTED)
        key.sort(axis=1)
        return key

    def _is_high(self, risk: Floats, risk_band: npt.NDArray[np.int8] | None) -> Bools:
        high: Bools = risk >= self.weights.add_at_risk if risk_band is None else risk_band == _HIGH_BAND
        return high

    def _listed(self, evaluation: Evaluation, high: Bools) -> tuple[Bools, Bools]:
        """(B, A) rule floor, and floor with additions."""
        indicated = evaluation.indicated == TRUE
        allowed = evaluation.blocked != TRUE
        floor = indicated & allowed
        # "No change" stands beside routine observations, and beside nothing that asks for a change.
        floor[:, self._no_change] &= ~(indicated & self._more_than_routine).any(axis=1)
        return floor, floor | (high[:, None] & self._added & allowed)

    def _parts(
        self, floor: Bools, evaluation: Evaluation, risk: Floats, history: Floats, features: Floats
    ) -> list[npt.NDArray[np.int64]]:
        """(B, A) units of each of `PARTS` but diversity, which depends on the list."""
        by_content, by_history = self.learned_parts(history, features)
        excess = np.where(np.isnan(risk), 0.0, risk - self.weights.add_at_risk)
        by_risk = self.weights.risk * excess[:, None] * self._affinity
        by_rule = np.where(floor, self._rule, 0.0)
        parts = [np.rint(part * _UNIT).astype(np.int64) for part in (by_rule, by_content, by_history, by_risk)]
        met = evaluation.indicated == TRUE if evaluation.met is None else evaluation.met
        parts[1] += self._guideline.take(met)
        return parts

    def learned_parts(
        self, history: Floats, features: Floats
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """(B, A) content part and (B, A) collaborative part, before they are counted in units; arguments as `rank`."""
        by_content, by_history = (self._centred(part) for part in self.recommenders.hybrid.parts(history, features))
        return by_content, by_history + self._acceptance

    def _centred(self, part: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Learned scores as above or below average: an action that no data knew is average, not last."""
        if not self._learned.any():
            return part
        centred = np.zeros_like(part)
        known = part[:, self._learned]
        centred[:, self._learned] = known - known.mean(axis=1, keepdims=True)
        return centred

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Everything learned and every weight, as float64 and int64 tensors by name."""
        return self.recommenders.state_dict() | {
            "weights": torch.tensor(astuple(self.weights), dtype=torch.float64),
            "catalogue": torch.tensor([_fingerprint(self.catalogue)]),
        }

    @classmethod
    def from_state_dict(cls, catalogue: Catalogue, state: Mapping[str, torch.Tensor]) -> Self:
        """The ranker that `state_dict` came from. Weights that it does not have yet are those of this release.

        Raises:
            ValueError: It was fitted for another catalogue, whose rows mean other actions, or has too few weights.
        """
        if int(state["catalogue"][0]) != _fingerprint(catalogue):
            raise ValueError("the ranker was fitted for another catalogue of actions: fit it again for this one")
        weights = state["weights"].tolist()
        if len(weights) < _FIRST_WEIGHTS:
            raise ValueError(f"weights are {len(weights)} numbers, not {_FIRST_WEIGHTS} or more")
        return cls(catalogue, Recommenders.from_state_dict(state), RankerWeights(*weights))


def _fingerprint(catalogue: Catalogue) -> int:
    """Changes when actions are added, removed or reordered."""
    return zlib.crc32("\n".join(action.id for action in catalogue.actions).encode())
