"""The care-action catalogue: which actions the rules indicate and which a contraindication blocks.

Research catalogue, not clinically approved, without doses by design (`data/care_actions.json` has sources and the
disclaimer). It decides by rules alone; what a model thinks enters only through the variables `model.*`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from models.clinical.predicates import Program, Term, stacked, terms_of
from models.clinical.strength import parts_of
from models.clinical.tables import load_table
from models.clinical.truth import TRUE, UNKNOWN, Interval, Truth
from models.clinical.variables import Variables

UNCHECKED: Final = "cannot be checked here: "
"""Begins the caution made of a contraindication that no variable expresses."""

UNKNOWN_BLOCK: Final = "contraindication not known here, check: "
"""Begins the caution made of a contraindication whose variables are unknown."""


@dataclass(frozen=True, slots=True)
class Action:
    """One action of the catalogue.

    Attributes:
        id: Stable name.
        text: What is shown.
        category: Kind of care, such as "sepsis".
        urgency: Name of the urgency tier.
        urgency_rank: Rank of that tier, 0 the most urgent.
        target_minutes: Within which time the tier asks for action.
        role: Who acts first.
        codes: {system, code, display, verified} of public terminologies; empty where none was verified.
        cautions: Texts to show with the action whenever it is shown.
        contraindications: What blocks it, in words.
        evidence: Where its rule comes from.
    """

    id: str
    text: str
    category: str
    urgency: str
    urgency_rank: int
    target_minutes: int
    role: str
    codes: tuple[Mapping[str, str], ...]
    cautions: tuple[str, ...]
    contraindications: tuple[str, ...]
    evidence: str

    def cautions_for(self, blocked: int) -> tuple[str, ...]:
        """The cautions to show where the truth of "blocked" is `blocked`: what is not known must be checked."""
        if blocked != UNKNOWN:
            return self.cautions
        return (*self.cautions, *(UNKNOWN_BLOCK + text for text in self.contraindications))


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Rules applied to a batch; columns are actions in catalogue order.

    Attributes:
        indicated: (B, A) int8 truth.
        blocked: (B, A) int8 truth: a contraindication holds. UNKNOWN does not withhold the action, it adds cautions.
        met: (B, A) int8 how many reasons for the action certainly hold, each once more where it holds by a clinical
            step, see `models.clinical.strength`; None where nobody counted, and each indication that holds counts once.
    """

    indicated: Truth
    blocked: Truth
    met: npt.NDArray[np.int8] | None = None


def _action(entry: Mapping[str, Any], urgencies: Mapping[str, Any]) -> Action:
    blocks = entry["contraindications"]["block"]
    unchecked = [UNCHECKED + block["text"] for block in blocks if not block["evaluable"]]
    tier = urgencies[entry["urgency"]]
    return Action(
        id=entry["id"],
        text=entry["display"],
        category=entry["category"],
        urgency=entry["urgency"],
        urgency_rank=tier["rank"],
        target_minutes=tier["target_minutes"],
        role=entry["role"],
        codes=tuple(entry["codes"]),
        cautions=(*(each["text"] for each in entry["contraindications"]["caution"]), *unchecked),
        contraindications=tuple(block["text"] for block in blocks if block["evaluable"]),
        evidence=entry["evidence"],
    )


def _block_terms(entry: Mapping[str, Any]) -> list[Term]:
    return [
        term
        for block in entry["contraindications"]["block"]
        if block["evaluable"]
        for term in terms_of(block["predicate"])
    ]


class Catalogue:
    """The actions and their compiled rules. Immutable; load it once."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        entries = table["actions"]
        self.actions: Final = tuple(_action(entry, table["urgency"]) for entry in entries)
        self.index: Final = {action.id: i for i, action in enumerate(self.actions)}
        parts = [parts_of(entry["indications"]) for entry in entries]
        self._several: Final = np.flatnonzero([len(each) > 1 for each in parts])
        counted = [parts[i] for i in self._several]
        self._starts: Final = np.cumsum([0, *map(len, counted)])[:-1]
        self._program: Final = Program(
            [terms_of(entry["indications"]) for entry in entries]
            + [_block_terms(entry) for entry in entries]
            + [terms for each in counted for terms in each]
        )

    @classmethod
    def load(cls) -> Self:
        """The catalogue that ships with the package."""
        return cls(load_table("care_actions"))

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of all variables that some rule reads."""
        return self._program.variables

    def evaluate(self, variables: Mapping[str, Interval]) -> Evaluation:
        """Applies all rules.

        Args:
            variables: Intervals of (B,) bounds by name; a name that is absent is unknown, one that no rule reads is
                ignored.

        Raises:
            ValueError: `variables` is empty, so the number of records cannot be known.
        """
        names = self._program.variables
        result = self._program.run(
            *(variables.stacked(names) if isinstance(variables, Variables) else stacked(variables, names))
        )
        count = len(self.actions)
        met = (result[:count] == TRUE).view(np.int8)
        each = (result[2 * count :] == TRUE).view(np.int8)
        met[self._several] = np.add.reduceat(each, self._starts, axis=0)
        return Evaluation(indicated=result[:count].T, blocked=result[count : 2 * count].T, met=met.T)
