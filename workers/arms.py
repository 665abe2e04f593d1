"""With which models each record of a batch is decided, when not all are decided alike.

An arm is a way of deciding: by rules alone, or with a suite of models. Wards that operators set to rules only, and
patients of a canary, are in arms of their own. Without such settings a batch has one arm and nothing is split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from topics.reasons import Reason
from workers.context import Contexts
from workers.control import Control
from workers.identity import encounter_digest
from workers.inference import Models
from workers.judge import Assessment, Judge
from workers.records import Record

_SHARES: Final = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Suite:
    """Models that take part together.

    Attributes:
        models: The networks.
        judge: With the ranker.
        without_fusion: The fusion was not trained with the others: the vitals model's own risk is used.
    """

    models: Models
    judge: Judge
    without_fusion: bool = False

    def control(self, given: Control) -> Control:
        """What is in force for these models: a fusion that does not fit counts as switched off."""
        if not self.without_fusion or "fusion" in given.models_off:
            return given
        return replace(given, models_off=given.models_off | {"fusion"})

    def assess(
        self, contexts: Contexts, records: Sequence[Record], models: Models | None, control: Control,
        previous: NDArray[np.intp] | None = None,
    ) -> Assessment:  # fmt: skip
        """Judge `(n,)` folded contexts after these records, with what clinicians answered and prescribers decided.

        Args:
            contexts: See `Judge.assess`.
            records: The newest of each context.
            models: Of this suite; None leaves out every model.
            control: As `control` gives it.
            previous: See `Judge.assess`.
        """
        encounters = None
        if contexts["holds"].any():
            encounters = np.array([encounter_digest(record.event.encounter_id) for record in records], np.uint64)
        limits = [control.limits.get(record.patient) for record in records] if control.limits else None
        return self.judge.assess(contexts, models, control, previous, encounters=encounters, limits=limits)


class Arm(NamedTuple):
    """A way of deciding.

    Attributes:
        suite: Models that take part.
        rules_only: None of them does.
        canary: Names of models of which the suite holds the candidate.
        reasons: What every result must say about it.
    """

    suite: Suite
    rules_only: bool = False
    canary: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()

    @property
    def name(self) -> str:
        """For counting: live, canary or rules_only."""
        return "rules_only" if self.rules_only else "canary" if self.canary else "live"


class Picks(Protocol):
    """Which suite a patient gets; does not change."""

    def live(self, control: Control) -> Arm:
        """What patients outside any canary get."""
        ...

    def of(self, patient: bytes, control: Control) -> Arm:
        """What one patient gets."""
        ...


class Suites(Protocol):
    """Where suites come from."""

    def standing(self) -> Picks:
        """What there is now. Asked once a batch, so that a batch has no two answers."""
        ...


class OneSuite:
    """The same models for everybody, whatever control asks for."""

    def __init__(self, suite: Suite) -> None:
        self._arm = Arm(suite)

    def standing(self) -> OneSuite:
        """See Suites."""
        return self

    def live(self, control: Control) -> Arm:  # noqa: ARG002 - as Picks has it
        """See Picks."""
        return self._arm

    def of(self, patient: bytes, control: Control) -> Arm:  # noqa: ARG002 - as Picks has it
        """See Picks."""
        return self._arm


def in_share(patient: bytes, model: str, share: float) -> bool:
    """Whether a patient belongs to a share of all: always the same for patient and model, and more as it grows."""
    digest = hashlib.blake2b(patient + model.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little") % _SHARES < share * _SHARES


def arms(
    records: Sequence[Record], control: Control, suites: Suites
) -> list[tuple[Arm, NDArray[np.intp] | None]]:  # fmt: skip
    """The arms of a batch with the indices of their records, in an order that keeps each patient's records in order.

    Indices are None where all records are in one arm.
    """
    canary = any(switch.canary for switch in control.switches.values())
    picks = suites.standing()
    if not canary and not control.rules_only:
        return [(picks.live(control), None)]
    each = [_arm(record, control, picks, canary=canary) for record in records]
    first: dict[bytes, Arm] = {}
    if all(first.setdefault(record.patient, arm) == arm for record, arm in zip(records, each, strict=True)):
        found: dict[Arm, list[int]] = {}
        for i, arm in enumerate(each):
            found.setdefault(arm, []).append(i)
        return [(arm, np.array(index, np.intp)) for arm, index in found.items()]
    runs = [(arm, list(run)) for arm, run in groupby(range(len(each)), key=each.__getitem__)]  # a patient changed wards
    return [(arm, np.array(run, np.intp)) for arm, run in runs]


def _arm(record: Record, control: Control, picks: Picks, *, canary: bool) -> Arm:
    if control.without_models(record.event.unit):
        return picks.live(control)._replace(rules_only=True, reasons=(Reason.RULES_ONLY,))
    return picks.of(record.patient, control) if canary else picks.live(control)
