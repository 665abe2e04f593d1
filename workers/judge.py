"""From folded contexts to clinical judgement, over the whole batch: scores, risks, ranked actions, alert.

Everything is of the patient as of the newest event time, not of the single event. NEWS2 and the rule floor stand beside
the models: without models (`models` None, a kill switch, a failed record) they are computed all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.calibration import probabilities
from models.clinical.actions import Catalogue, Evaluation
from models.clinical.ageing import age_out
from models.clinical.news2 import News2, news2
from models.clinical.qsofa import Qsofa, qsofa
from models.clinical.shock_index import shock_index
from models.clinical.truth import TRUE
from models.clinical.variables import build_variables
from models.columns import COLUMNS, FLAGS
from models.conformal import UNKNOWN, answers, unsettled
from models.recommend.ranker import Ranker, Ranking
from topics.control_settings import PatientLimits
from workers import flags
from workers.alerts import ARREST
from workers.context import CONFLICT, FOREIGN, SUSPECT, UNREADABLE, Contexts
from workers.control import Control
from workers.holds import in_force
from workers.inference import Models

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

ADULT_YEARS: Final = 16.0  # NEWS2 applies from here on (RCP 2017)
FRESH_H: Final = {"vitals": 4.0, "notes": 24.0, "imaging": 48.0}  # policy: older counts as stale, and is said to be
_MS_PER_HOUR: Final = 3_600_000.0
_SIGNS: Final = (1 << np.arange(7)).astype(np.uint8)
_DOUBT_MS: Final = int(FRESH_H["vitals"] * _MS_PER_HOUR)
_BIT: Final = {name: 1 << i for i, name in enumerate(FLAGS)}
_BAND_INDEX: Final = {"low": 0, "medium": 1, "high": 2, None: -1}


@dataclass(frozen=True, slots=True)
class Risks:
    """What the models say.

    Attributes:
        probability: `(n, 2)` of the vitals model's labels, NaN where it abstains.
        fused: `(n,)` NaN where no modality is usable.
        shares: `(n, 3)` of vitals, notes, imaging in the fused risk.
        foreign: `(n,)` the vitals state is unlike what the model was made from.
        bands: Per label, band names.
        fused_bands: Band names.
        answers: `(n, 3)` that the prediction sets of the two labels and of the fused risk leave open, as
            `models.conformal.answers` codes them.
        ambiguous: `(n,)` the vitals model cannot tell whether its first label, sepsis, holds.
        abstained: `(n,)` nothing may be concluded from the fused risk: there is none, or it is ambiguous.
    """

    probability: Floats
    fused: Floats
    shares: Floats
    foreign: Bools
    bands: list[list[str | None]]
    fused_bands: list[str | None]
    answers: NDArray[np.int8]
    ambiguous: Bools
    abstained: Bools


@dataclass(frozen=True, slots=True)
class Assessment:
    """The judgement of a batch of patients; parallel arrays."""

    as_of: NDArray[np.int64]
    values: Floats  # (n, P) carried forward, NaN where older than the column's maximum age
    applicable: Bools
    scale: NDArray[np.int8]
    news2: News2
    qsofa: Qsofa
    shock_index: Floats
    risks: Risks
    evaluation: Evaluation
    ranking: Ranking
    present: Bools  # (n, 3) vitals, notes, imaging
    age_h: Floats  # (n, 3) NaN where absent
    since_ms: NDArray[np.int64]  # (n, 3) event time of the newest of each modality, `as_of` where absent
    arrest: Bools
    signs: NDArray[np.uint8]  # (n,) as in workers.alerts.Facts
    held: NDArray[np.uint8] | None  # (n, A) workers.holds.Kind; None where no clinician's answer holds anything
    age_unknown: Bools  # (n,) there are vital signs of no stated age


class Judge:
    """The clinical part of a decision.

    Args:
        catalogue: Care actions with their rules.
        ranker: Orders what the rules indicate.
    """

    def __init__(self, catalogue: Catalogue, ranker: Ranker) -> None:
        self.catalogue = catalogue
        self._ranker = ranker
        self._rules = Ranker.unfitted(catalogue, len(COLUMNS), ranker.weights)
        self._arrest = catalogue.index["esc-cardiac-arrest-call"]
        self._bits = np.uint64(1) << np.arange(len(catalogue.actions), dtype=np.uint64)

    def assess(
        self, contexts: Contexts, models: Models | None, control: Control, previous: NDArray[np.intp] | None = None,
        *, encounters: NDArray[np.uint64] | None = None, limits: Sequence[PatientLimits | None] | None = None,
    ) -> Assessment:  # fmt: skip
        """Judge each patient as of the newest event time; notes in the context what was indicated.

        Args:
            contexts: `(n,)`, already folded.
            models: None leaves out every model.
            control: What operators changed.
            previous: `(n,)` row of the same patient before this one, -1 where there is none in the batch.
            encounters: `(n,)` digests of the encounters; None where no clinician's answer holds an action.
            limits: `(n,)` what was decided for the patients; None where nothing was for anybody.
        """
        head, as_of = contexts["head"], contexts["as_of"]
        values = age_out(np.ascontiguousarray(head["value"]), head["at"], as_of)
        age, pregnant = head["static"][:, 0], head["pregnant"] == 1
        applicable = ~(age < ADULT_YEARS) & ~pregnant  # of unknown age: an adult must not be silenced
        adult = (age >= ADULT_YEARS) & ~pregnant  # of unknown age: no model was made for everybody
        scale = np.where(head["spo2_scale"] == 2, 2, 1).astype(np.int8)
        if limits is not None:
            scale = _decided_scale(scale, limits)
        scores = news2(values, scale, applicable)
        sofa = qsofa(values, applicable)
        shock = shock_index(values, head["at"], applicable)
        present, age_h, since_ms = _modalities(contexts, models)
        taking_part = None if control.kill_switch else models
        judged = adult & ~(age_h[:, 0] > FRESH_H["vitals"])
        risks = _risks(contexts, present, age_h, judged, taking_part, control.models_off)
        quality = _doubts(contexts)
        known, true = _flags(contexts)
        if limits is not None:
            ceilings = _ceilings(limits)
            known, true = known | ceilings, true | ceilings
        variables = build_variables(
            values=values,
            last_ms=head["at"],
            as_of_ms=as_of,
            flags_known=known,
            flags_true=true,
            news2=scores,
            qsofa=sofa,
            shock_index=shock,
            spo2_scale=scale,
            cxr_ms=_newest(contexts, "image", "ms") * (contexts["images"] > 0),
            p_pneumothorax=np.full(len(contexts), np.nan, np.float32),  # no shipped model looks for it
            suspect=(quality & SUSPECT) != 0,
            conflict=(quality & CONFLICT) != 0,
            risk_band=np.array([_BAND_INDEX[band] for band in risks.fused_bands], np.int8),
            abstained=risks.abstained,
        )
        evaluation = self.catalogue.evaluate(variables)
        held = None
        if encounters is not None:
            threes = signs_of(scores, np.zeros(len(contexts), bool))
            held = in_force(contexts, len(self.catalogue.actions), encounters, scores.low, threes)
            evaluation = replace(evaluation, blocked=np.where(held > 0, TRUE, evaluation.blocked))
        now = (evaluation.indicated == TRUE).astype(np.uint64) @ self._bits
        before = (
            contexts["indicated"] if previous is None else np.where(previous < 0, contexts["indicated"], now[previous])
        )
        history = (before[:, None] & self._bits != 0).astype(np.float32)
        learned = models is not None and "ranker" not in control.models_off
        ranking = (self._ranker if learned else self._rules).rank(evaluation, risks.fused, history, values)
        contexts["indicated"] = now
        arrest = (evaluation.indicated[:, self._arrest] == TRUE) & (evaluation.blocked[:, self._arrest] != TRUE)
        signs = signs_of(scores, arrest)
        contexts["news2"], contexts["signs"] = scores.low, signs
        return Assessment(
            as_of, values, applicable, scale, scores, sofa, shock, risks, evaluation, ranking, present, age_h, since_ms,
            arrest, signs, held, np.isnan(age) & applicable & present[:, 0],
        )  # fmt: skip


def _decided_scale(scale: NDArray[np.int8], limits: Sequence[PatientLimits | None]) -> NDArray[np.int8]:
    """The SpO2 scale, where a prescriber decided it by control that one."""
    decided = [0 if one is None else one.spo2_scale or 0 for one in limits]
    return np.where(np.array(decided) > 0, decided, scale).astype(np.int8)


def _ceilings(limits: Sequence[PatientLimits | None]) -> NDArray[np.uint32]:
    """`(n,)` bits of the flags that hold because control says so, whatever events say."""
    bits = [
        0 if one is None else one.icu_not_appropriate * _BIT["icu_not_appropriate"] | one.dnacpr * _BIT["dnacpr"]
        for one in limits
    ]
    return np.array(bits, np.uint32)


def signs_of(scores: News2, arrest: Bools) -> NDArray[np.uint8]:
    """`(n,)` bits of what newly holding makes a patient worse, as in `workers.alerts.Facts`."""
    threes: NDArray[np.uint8] = (scores.sub == 3) @ _SIGNS
    return threes | np.where(arrest, np.uint8(ARREST), np.uint8(0))


def _modalities(contexts: Contexts, models: Models | None) -> tuple[Bools, Floats, NDArray[np.int64]]:
    """Which of vitals, notes, imaging a patient has, and their age in hours.

    Unusable embeddings count as absent, and so do those of another version of the encoder: the fusion cannot read them.
    """
    unusable = FOREIGN | UNREADABLE
    present = np.stack(
        [
            contexts["rows"] > 0,
            (contexts["notes"] > 0) & (_newest(contexts, "note", "quality") & unusable == 0),
            (contexts["images"] > 0) & (_newest(contexts, "image", "quality") & unusable == 0),
        ],
        axis=1,
    )
    if models is not None:
        for column, name, digest in ((1, "note", models.notes.digest), (2, "image", models.imaging.digest)):
            version = _newest(contexts, name, "model")
            present[:, column] &= (version == digest) | (version == 0)
    entries = _newest(contexts, "note", "ms"), _newest(contexts, "image", "ms")
    since = np.stack([contexts["head"]["ms"], *entries], axis=1)
    since = np.where(present, since, contexts["as_of"][:, None])
    age_h = ((contexts["as_of"][:, None] - since) / _MS_PER_HOUR).astype(np.float32)
    return present, np.where(present, age_h, np.nan).astype(np.float32), since


def _risks(
    contexts: Contexts, present: Bools, age_h: Floats, judged: Bools, models: Models | None, off: frozenset[str]
) -> Risks:
    """What the models say: nothing but of those `judged`, who are adult, not pregnant, and have fresh vital signs."""
    count = len(contexts)
    if models is None:
        nothing = np.full(count, np.nan, np.float32)
        return Risks(
            np.full((count, 2), np.nan, np.float32), nothing, np.zeros((count, 3), np.float32),
            np.zeros(count, bool), [[None] * count, [None] * count], [None] * count,
            np.full((count, 3), UNKNOWN, np.int8), np.zeros(count, bool), np.ones(count, bool),
        )  # fmt: skip
    state = contexts["head"]["hidden"][:, : models.vitals.hidden]
    logits, novelty = models.vitals.logits(state)
    ours = contexts["model"] == models.vitals.digest  # else the state is not this model's
    foreign = present[:, 0] & ours & (novelty > 1)
    usable = present[:, 0] & ours & ~foreign & judged & ("vitals" not in off)
    probability = np.where(usable[:, None], probabilities(logits), np.nan).astype(np.float32)
    used = np.stack([usable, present[:, 1] & ("notes" not in off), present[:, 2] & ("imaging" not in off)], axis=1)
    if "fusion" in off:
        fused, shares = probability[:, 0], used * np.array([1, 0, 0], np.float32)
    else:
        fused, shares = models.fusion.fuse(
            np.ascontiguousarray(logits[:, 0]),
            _newest(contexts, "note", "embedding").astype(np.float32),
            _newest(contexts, "image", "embedding").astype(np.float32),
            used,
            age_h,
        )
        # A note or an image alone says nothing about the next six hours: without vitals there is no fused risk.
        fused = np.where(used[:, 0], fused, np.nan).astype(np.float32)
    shares = np.where(np.isnan(fused)[:, None], 0, shares).astype(np.float32)
    of_vitals, of_fused = models.vitals.limits, models.vitals.limits if "fusion" in off else models.fusion.limits
    left = answers(np.column_stack((probability, fused)), np.column_stack((of_vitals, of_fused[:, 0])))
    unanswered = unsettled(left)
    return Risks(
        probability, fused, shares, foreign, models.vitals.bands(probability), models.fusion.bands(fused),
        left, unanswered[:, 0], np.isnan(fused) | unanswered[:, 2],
    )  # fmt: skip


def _newest(contexts: Contexts, field: str, of: str) -> NDArray[Any]:
    """A field of the newest entry of each context; zeros where it has none."""
    last = np.maximum(contexts[field + "s"].astype(np.intp) - 1, 0)
    newest: NDArray[Any] = contexts[field][of][np.arange(len(contexts)), last]
    return newest


def _doubts(contexts: Contexts) -> NDArray[np.uint8]:
    """Quality of the newest vitals event, as long as its values could count."""
    last = np.maximum(contexts["rows"].astype(np.intp) - 1, 0)
    quality = contexts["window"]["quality"][np.arange(len(contexts)), last]
    fresh = (contexts["rows"] > 0) & (contexts["as_of"] - contexts["head"]["ms"] <= _DOUBT_MS)
    return np.where(fresh, quality, 0).astype(np.uint8)


def _flags(contexts: Contexts) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Flags known and true: of vitals events and notes, what was stated last in event time."""
    head, notes = contexts["head"], contexts["note"]
    known, true = head["flags_known"].copy(), head["flags_true"].copy()
    said = notes["flags_known"] * (np.arange(notes.shape[1]) < contexts["notes"][:, None])
    index = np.flatnonzero(said.any(axis=1))
    if len(index):
        stated = known[index], true[index], head["flags_at"][index]
        for k in range(notes.shape[1]):
            note = notes[index, k]
            when = flags.time_of(note["ms"], note=True)
            stated = flags.state(*stated, said[index, k], note["flags_true"], when)
        known[index], true[index], _ = stated
    return known, true
