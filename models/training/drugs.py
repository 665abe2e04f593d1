"""Which drugs change at a patient's next encounter: the recommenders measured on choices that clinicians made.

The question, put at each encounter (Diabetes 130-US hospitals): which of the 23 glucose-lowering drugs are changed
now? Changed is a drug whose dose is raised or lowered, or that is given now and was not at the encounter before.
Stopping is no recommendation and does not count. Encounters are in the order of their number within the patient, the
set having no dates; what happened between them is not known.

- History is the drugs of earlier encounters: taken at the one before, raised or lowered there, taken at any, changed at
  any; and that there was one.
- Features are what is known when the decision is made: age, sex, A1C and glucose of this encounter (which prompt the
  change; NaN if not measured), how and whence the patient was admitted and to which specialty, visits in the year
  before. Nothing that is coded or counted at discharge (diagnoses, length of stay, medications, readmission).
- Any drug is a candidate, since any may be changed or started. Ties go to the earlier drug of the table.
- A patient's first encounter is a cold start, judged apart: whether a drug is new cannot be known there, so only raised
  and lowered doses count, for every method.
- Encounters at which nothing changes have no right answer and are left out: the question is which, not whether.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.recommend.recommenders import Recommenders
from models.training.cases import Cases, Grid, fit, measured
from models.training.outcome import Progress, silent

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

DRUGS: Final = (
    "metformin", "repaglinide", "nateglinide", "chlorpropamide", "glimepiride", "acetohexamide", "glipizide",
    "glyburide", "tolbutamide", "pioglitazone", "rosiglitazone", "acarbose", "miglitol", "troglitazone", "tolazamide",
    "examide", "citoglipton", "insulin", "glyburide-metformin", "glipizide-metformin", "glimepiride-pioglitazone",
    "metformin-rosiglitazone", "metformin-pioglitazone",
)  # fmt: skip
"""In the order of the set's columns."""

ADMISSIONS: Final = {1: "emergency", 2: "urgent", 3: "elective"}
"""admission_type_id that say something."""

SOURCES: Final = {
    1: "physician referral", 2: "clinic referral", 4: "other hospital", 5: "nursing facility", 6: "other facility",
    7: "emergency room",
}  # fmt: skip
"""admission_source_id with more than a few hundred encounters that say something."""

SPECIALTIES: Final = (
    "InternalMedicine", "Emergency/Trauma", "Family/GeneralPractice", "Cardiology", "Surgery-General", "Nephrology",
    "Orthopedics", "Pulmonology", "Psychiatry",
)  # fmt: skip
"""The commonest specialties of the admitting physician."""

FEATURES: Final = (
    "age_years", "age_squared", "male", "a1c", "a1c_measured", "glucose", "glucose_measured", "log_inpatient_visits",
    "log_emergency_visits", "log_outpatient_visits", *(f"admission {name}" for name in ADMISSIONS.values()),
    *(f"from {name}" for name in SOURCES.values()), *SPECIALTIES, "first_encounter",
)  # fmt: skip

HISTORY: Final = (
    *(f"{kind}: {drug}" for kind in ("taken at the last encounter", "raised there", "lowered there", "taken at any",
                                     "changed at any") for drug in DRUGS), "an earlier encounter",
)  # fmt: skip


class Dose(IntEnum):
    """What an encounter says of a drug."""

    none = 0
    steady = 1
    raised = 2
    lowered = 3


@dataclass(frozen=True, slots=True)
class Encounters:
    """N encounters, by patient and then in order.

    Attributes:
        patient: (N,) as named to `models.training.split`; rows of one patient stand together.
        dose: (N, D) `Dose` of each of `DRUGS`.
        age_years: (N,) middle of the band.
        male: (N,) 1, 0 or NaN.
        a1c: (N,) 0 normal, 1 above 7 %, 2 above 8 %, NaN if not measured.
        glucose: (N,) 0 normal, 1 above 200 mg/dL, 2 above 300, NaN if not measured.
        admission: (N, 3) 1 for the kind of `ADMISSIONS`.
        source: (N, 6) 1 for the kind of `SOURCES`.
        specialty: (N, 9) 1 for the kind of `SPECIALTIES`.
        visits: (N, 3) inpatient, emergency and outpatient visits in the year before.
    """

    patient: NDArray[np.str_]
    dose: NDArray[np.int8]
    age_years: Floats
    male: Floats
    a1c: Floats
    glucose: Floats
    admission: Floats
    source: Floats
    specialty: Floats
    visits: Floats

    @property
    def first(self) -> Bools:
        """(N,) the patient's first encounter of the set."""
        return np.concatenate(([True], self.patient[1:] != self.patient[:-1]))[: len(self.patient)]


def drug_cases(encounters: Encounters) -> Cases:
    """One case an encounter, those without a change included."""
    first, dose = encounters.first, encounters.dose
    last = _before(dose, first)
    taken, adjusted = dose > Dose.none, dose >= Dose.raised
    target = adjusted | (taken & (last == Dose.none) & ~first[:, None])
    history = np.hstack(
        (
            last > Dose.none, last == Dose.raised, last == Dose.lowered,
            _ever_before(taken, first), _ever_before(target, first), ~first[:, None],
        )
    )  # fmt: skip
    return Cases(encounters.patient, history.astype(np.float64), _features(encounters), np.ones_like(target), target)


def _features(of: Encounters) -> Floats:
    return np.column_stack(
        (
            of.age_years, (of.age_years / 50) ** 2, of.male, of.a1c, ~np.isnan(of.a1c), of.glucose,
            ~np.isnan(of.glucose), np.log1p(of.visits), of.admission, of.source, of.specialty, of.first,
        )
    )  # fmt: skip


def _before(rows: NDArray[np.int8], first: Bools) -> NDArray[np.int8]:
    """(N, D) the row before of the same patient, zeros at the first."""
    shifted = np.vstack((np.zeros((1, rows.shape[1]), rows.dtype), rows))[: len(rows)]
    before: NDArray[np.int8] = np.where(first[:, None], 0, shifted).astype(rows.dtype)
    return before


def _ever_before(flags: Bools, first: Bools) -> Bools:
    """(N, D) whether any earlier row of the same patient has it."""
    count = np.vstack((np.zeros((1, flags.shape[1]), np.int64), np.cumsum(flags, axis=0)))[: len(flags)]
    at_first = count[np.flatnonzero(first)[np.cumsum(first) - 1]]
    ever: Bools = count > at_first
    return ever


def views(cases: Cases) -> dict[str, Cases]:
    """The questions that figures are given for, all put to the same recommenders.

    Beside the question itself: new drugs alone (a candidate is what was not taken at the encounter before), since
    changes of a dose are mostly of insulin; drugs other than insulin; and cold starts.
    """
    later = cases.of(~cases.cold)
    not_taken = later.history[:, : len(DRUGS)] == 0
    return {
        "drugs changed": later,
        "drugs started": later.among(not_taken),
        "drugs other than insulin changed": later.among(np.array([drug != "insulin" for drug in DRUGS])),
        "drugs adjusted at a cold start": cases.of(cases.cold),
    }


def drug_figures(recommenders: Recommenders, cases: Cases, *, seed: int = 0) -> dict[str, Mapping[str, object]]:
    """Figures of each of `views`."""
    return {name: measured(recommenders, view, seed=seed) for name, view in views(cases).items()}


GRID: Final = Grid(
    factors=(16, 32), alphas=(1.0,), item_regularisations=(30.0, 100.0), content_regularisations=(100.0, 1000.0)
)


@dataclass(frozen=True, slots=True)
class TrainedDrugs:
    """Recommenders of drugs.

    Attributes:
        recommenders: All that is needed to score unseen patients.
        chosen: What they were made with.
        metrics: Held-out figures of each of `views`.
        history: Loss of the collaborative part after each round.
    """

    recommenders: Recommenders
    chosen: Mapping[str, float]
    metrics: Mapping[str, Mapping[str, object]]
    history: tuple[Mapping[str, float], ...]


def train_drugs(
    encounters: Encounters, *, grid: Grid = GRID, iterations: int = 10, seed: int = 0, progress: Progress = silent
) -> TrainedDrugs:
    """Fit on the training patients, choose on validation, measure on the held-out ones.

    Args:
        encounters: Of any part; split by patient here.
        grid: What to try.
        iterations: Rounds of alternating least squares.
        seed: Of the initial factors.
        progress: Told after each candidate.

    Raises:
        ValueError: Some part has no encounter at which anything changes.
    """
    part = drug_cases(encounters).parts()
    for name, one in part.items():
        if not one.target.any():
            raise ValueError(f"too few encounters: no drug is changed in the {name} part")
    fitted = fit(
        part["training"].wanted(), part["validation"], grid,  # where nothing changes there is nothing to order
        iterations=iterations, seed=seed, progress=progress, what="drugs",
    )  # fmt: skip
    return TrainedDrugs(
        fitted.recommenders, fitted.chosen, drug_figures(fitted.recommenders, part["test"], seed=seed), fitted.history
    )
