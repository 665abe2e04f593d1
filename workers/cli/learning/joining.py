"""From verdicts and the recommendations that they are about to arrays: what was shown, to whom, on which readings."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from models.clinical.actions import Catalogue
from models.columns import COLUMNS, INDEX
from models.training.answers import Answers
from topics.catalogue import VITALS
from topics.parameters import PARAMETERS
from topics.readings import readings
from topics.vitals import VitalsEvent
from workers.cli.learning.verdicts import Verdicts

_COLUMN: Final = [INDEX[parameter.name] for parameter in PARAMETERS]


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Listed(_Read):
    action_id: str
    floor: bool = True


class Cause(_Read):
    """Which record a recommendation is about."""

    event_id: str
    topic: str
    partition: int
    offset: int
    source: str


class _Shown(_Read):
    """What is needed of a recommendation."""

    recommendation_id: str
    patient_id: str
    caused_by: Cause
    recommendations: list[_Listed]
    withheld: list[_Listed]

    @property
    def indicated(self) -> tuple[str, ...]:
        """Actions that the rules indicate."""
        return tuple(one.action_id for one in (*self.recommendations, *self.withheld) if one.floor)


@dataclass(slots=True)
class Found:
    """One recommendation that was answered.

    Attributes:
        shown: It.
        before: Actions indicated in the patient's result before it, if that was read.
        values: (F,) readings of the record that caused it, NaN where unknown.
    """

    shown: _Shown
    before: tuple[str, ...]
    values: NDArray[np.float32] = field(default_factory=lambda: np.full(len(COLUMNS), np.nan, np.float32))


class Join:
    """Collects, of the recommendations that pass by in their order, those that were answered.

    Args:
        given: What clinicians said.
    """

    def __init__(self, given: Verdicts) -> None:
        self._given = given
        self._wanted = {identifier for identifier, _ in given.by}
        self._patients = {one.patient_id for one in given.by.values()}
        self._last: dict[str, tuple[str, ...]] = {}
        self.found: dict[str, Found] = {}
        self.unreadable = 0

    @property
    def silent(self) -> Counter[str]:
        """Why answers teach nothing by themselves, and how many."""
        return self._given.silent

    @property
    def wants_any(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._wanted)

    def wants(self, key: bytes | None) -> bool:
        """Whether a record with this key can matter."""
        return key is None or key.decode("utf-8", "replace") in self._patients

    def see(self, value: bytes | None) -> None:
        """Take a value of the topic of recommendations."""
        try:
            shown = _Shown.model_validate_json(value or b"")
        except ValidationError:
            self.unreadable += 1
            return
        if shown.patient_id not in self._patients or shown.recommendation_id in self.found:
            return  # of a repeat the first is kept: its order is right
        if shown.recommendation_id in self._wanted:
            self.found[shown.recommendation_id] = Found(shown, self._last.get(shown.patient_id, ()))
        self._last[shown.patient_id] = shown.indicated

    def causes(self) -> dict[str, Cause]:
        """By recommendation, the vitals record that caused it; notes and images have no readings."""
        return {
            identifier: one.shown.caused_by
            for identifier, one in self.found.items()
            if one.shown.caused_by.topic.endswith(VITALS)
        }

    def read(self, identifier: str, event: VitalsEvent) -> None:
        """Take the readings of the record that caused a recommendation, unless the record is another one's."""
        one = self.found[identifier]
        cause = one.shown.caused_by
        if (event.event_id, event.source, event.patient_id) == (cause.event_id, cause.source, one.shown.patient_id):
            for index, value in readings(event).values.items():
                one.values[_COLUMN[index]] = value

    def answers(self, catalogue: Catalogue) -> tuple[Answers, Counter[str]]:
        """The answers as arrays, in an order of their own, and why others are left out."""
        left: Counter[str] = Counter()
        kept = []
        for (identifier, action), verdict in sorted(self._given.by.items()):
            one = self.found.get(identifier)
            if one is None:
                left["recommendation not found"] += 1
            elif one.shown.patient_id != verdict.patient_id:
                left["recommendation of another patient"] += 1
            elif action not in catalogue.index or action not in {each.action_id for each in one.shown.recommendations}:
                left["action not in the recommendation"] += 1
            else:
                kept.append((identifier, catalogue.index[action], verdict, one))
        numbers = {name: number for number, name in enumerate(dict.fromkeys(identifier for identifier, *_ in kept))}
        history = np.zeros((len(kept), len(catalogue.actions)), np.float32)
        for row, (*_, one) in enumerate(kept):
            history[row, [catalogue.index[name] for name in one.before if name in catalogue.index]] = 1.0
        values = [one.values for *_, one in kept]
        made = Answers(
            np.array([verdict.patient_id for _, _, verdict, _ in kept], np.str_),
            np.array([numbers[identifier] for identifier, *_ in kept], np.int64),
            np.array([action for _, action, *_ in kept], np.int64),
            np.array([verdict.relevant for _, _, verdict, _ in kept], np.bool_),
            history,
            np.stack(values) if values else np.zeros((0, len(COLUMNS)), np.float32),
        )
        return made, left
