"""Whole stays as the facts that the alert policy would have seen live, event by event.

Values are carried, aged out and scored as in live judging, and the vitals model's state goes through the same
calibration, novelty check, fusion and prediction sets. Notes and films do not exist in such stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models import imaging, notes
from models.bundle import Bundle
from models.clinical.actions import Catalogue
from models.clinical.news2 import news2
from models.clinical.truth import TRUE
from models.columns import INDEX
from models.conformal import answers, unsettled
from models.training.replay import ADULT_YEARS, events_of, indications
from models.training.scores import by_patient, score
from models.training.sequences import Course, milliseconds, sequence
from workers.alerts import Facts
from workers.inference import FusionModel, VitalsModel
from workers.judge import signs_of

_STAYS_A_BATCH: Final = 200
_UNCHARTED: Final = [INDEX["acvpu"], INDEX["on_oxygen"]]


class Voice(StrEnum):
    """Who may raise an alert."""

    rules = "NEWS2 alone"
    total = "NEWS2 total alone"
    model = "model alone"
    both = "both"


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known at each of the T events of one stay.

    Attributes:
        ms: (T,) event time from admission, milliseconds.
        low: (T,) least possible NEWS2.
        high: (T,) greatest possible NEWS2.
        charted_high: (T,) the same with consciousness and oxygen, where missing, taken for alert and on air.
        single_three: (T,) one parameter scores 3 for certain.
        signs: (T,) as in `workers.alerts.Facts`.
        arrest: (T,) a peri-arrest rule is certainly met.
        risk: (T,) fused probability, NaN where the models abstain.
        applicable: NEWS2 applies.
    """

    ms: NDArray[np.int64]
    low: NDArray[np.int16]
    high: NDArray[np.int16]
    charted_high: NDArray[np.int16]
    single_three: NDArray[np.bool_]
    signs: NDArray[np.uint8]
    arrest: NDArray[np.bool_]
    risk: NDArray[np.float64]
    applicable: bool


def facts_of(seen: Seen, voice: Voice, *, declared: bool) -> list[Facts]:
    """The facts of each event, in order.

    Who has no voice raises nothing, but NEWS2's upper bound decides about clearing for everybody, as it does live.

    Args:
        seen: One stay.
        voice: Who may raise.
        declared: The unit has declared that it charts neither consciousness nor oxygen: missing, they are taken for
            alert and on air where an alert could clear, as `Policy.uncharted` says live.
    """
    rules, models = voice is not Voice.model, voice in {Voice.model, Voice.both}
    none = np.zeros(len(seen.ms), np.bool_)
    high = seen.charted_high if declared else seen.high
    silent, adult = np.isnan(seen.risk), seen.applicable
    return [
        Facts(at, low, up, three, arrest, None if quiet or not models else risk, adult, quiet and models, sign)
        for at, low, up, three, arrest, risk, quiet, sign in zip(
            seen.ms.tolist(), (seen.low if rules else np.zeros_like(seen.low)).tolist(), high.tolist(),
            (seen.single_three if rules and voice is not Voice.total else none).tolist(),
            (seen.arrest if rules else none).tolist(), seen.risk.tolist(), silent.tolist(),
            (seen.signs if rules and voice is not Voice.total else np.zeros_like(seen.signs)).tolist(), strict=True,
        )
    ]  # fmt: skip


def see(
    stays: Sequence[Course], bundle: Bundle, catalogue: Catalogue, say: Callable[[int], None] = lambda _done: None
) -> list[Seen]:
    """What is known at each event of each stay; a stay without events has none.

    Args:
        stays: In any order.
        bundle: Models.
        catalogue: With the peri-arrest rule.
        say: Told how many stays are done.
    """
    risk = _fused(bundle, [stay for stay in stays if stay.age_years >= ADULT_YEARS])
    found: list[Seen] = []
    for start in range(0, len(stays), _STAYS_A_BATCH):
        found += _rules(stays[start : start + _STAYS_A_BATCH], catalogue, risk)
        say(len(found))
    return found


def _rules(stays: Sequence[Course], catalogue: Catalogue, risk: dict[str, NDArray[np.float64]]) -> Iterator[Seen]:
    events = [events_of(stay) for stay in stays]
    lengths = [len(one.hour) for one in events]
    ms = milliseconds(np.concatenate([one.hour for one in events]).astype(np.float32))
    adult = np.repeat([one.applicable for one in events], lengths)
    last_ms = np.concatenate([one.last_ms for one in events])
    values, indicated = indications(catalogue, np.concatenate([one.values for one in events]), last_ms, ms, adult)
    scale = np.ones(len(ms), np.int8)
    scores = news2(values, scale, adult)
    charted = values.copy()
    charted[:, _UNCHARTED] = np.nan_to_num(charted[:, _UNCHARTED], nan=0.0)  # the code of alert, and of air
    upper = news2(charted, scale, adult).high
    # Nobody recorded a do-not-attempt-resuscitation decision in such stays, so nothing blocks the rule.
    arrest = indicated[:, catalogue.index["esc-cardiac-arrest-call"]]
    signs = signs_of(scores, arrest)
    ends = np.cumsum(lengths)
    for stay, one, end, length in zip(stays, events, ends, lengths, strict=True):
        span = slice(end - length, end)
        yield Seen(
            ms[span], scores.low[span], scores.high[span], upper[span], scores.single_three[span] == TRUE, signs[span],
            arrest[span], risk.get(stay.patient_id, np.full(length, np.nan)), one.applicable,
        )  # fmt: skip


def _fused(bundle: Bundle, stays: Sequence[Course]) -> dict[str, NDArray[np.float64]]:
    """By patient, the fused risk at each event; NaN where the policy hears nothing of it, as `workers.judge` has it."""
    events = [one for one in map(sequence, stays) if len(one.label)]
    if not events:
        return {}
    device = next(bundle.vitals.parameters()).device
    vitals, fusion = VitalsModel(bundle, device), FusionModel(bundle, device)
    found = score(bundle.vitals, events, 0)
    logits, novelty = vitals.logits(found.state.numpy())
    usable, count = novelty <= 1, len(novelty)
    alone = np.zeros((count, 3), np.bool_)
    alone[:, 0] = usable
    fused, _ = fusion.fuse(
        np.ascontiguousarray(logits[:, 0]), np.zeros((count, notes.EMBEDDING), np.float32),
        np.zeros((count, imaging.EMBEDDING), np.float32), alone, np.zeros((count, 3), np.float32),
    )  # fmt: skip
    known = np.where(usable, fused, np.nan).astype(np.float32)
    silent = unsettled(answers(known[:, None], fusion.limits))[:, 0]
    return by_patient(found.patient, np.where(silent, np.nan, known).astype(np.float64))
