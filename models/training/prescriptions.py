"""Which drugs are newly prescribed on a day of a stay: a smoke measure of the recommenders on very few patients.

The question, put on each day of a stay (MIMIC-III demo, 94 patients with prescriptions) on which a drug is begun: which
of the drugs that this stay has not had yet are begun now?

- History is the drugs begun on earlier days of the stay, and those of earlier stays.
- Features are known on that day: age, sex, kind of admission, day of the stay, how many drugs were begun before.
- Candidates are all drugs but those already begun in the stay. A drug that no other patient had is a candidate too, and
  can only be missed.
- A patient's first day of the first stay is a cold start, judged apart.
- Patients are left out by tenths: each is scored by recommenders fitted on the other nine tenths. The licence of the
  set (ODbL, share-alike) binds what is derived from it, so none of these fits is kept.

One setting is used throughout, chosen by eye on the patients outside the held-out fifth. With so few patients the
intervals are wide: this shows that the methods run on other data, not how well they do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.recommend.collaborative import CollaborativeFiltering
from models.recommend.content import ContentFilter
from models.recommend.hybrid import Hybrid
from models.recommend.recommenders import Recommenders
from models.training.cases import AGAINST, Cases, gains_by_method
from models.training.ranking_figures import figures

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

AT: Final = (1, 5, 10)
"""Of several hundred drugs, more of the first are looked at than of two dozen."""

FOLDS: Final = 10

_OLDEST: Final = 90.0  # the set gives ages above 89 as 300


@dataclass(frozen=True, slots=True)
class Orders:
    """N days on which drugs were begun, by patient, stay and day.

    Attributes:
        patient: (N,) as named to `models.training.split`; rows of one patient stand together, in order.
        stay: (N,) number of the admission.
        day: (N,) days since admission.
        begun: (N, A) drugs with an order that starts on the day.
        drugs: (A,) names.
        age_years: (N,) at admission.
        male: (N,) 1 or 0.
        emergency: (N,) 1 for an emergency admission.
        elective: (N,) 1 for an elective one.
    """

    patient: NDArray[np.str_]
    stay: NDArray[np.int64]
    day: Floats
    begun: Bools
    drugs: tuple[str, ...]
    age_years: Floats
    male: Floats
    emergency: Floats
    elective: Floats


def prescription_cases(orders: Orders) -> Cases:
    """One case a day, days on which nothing new is begun left out."""
    here, earlier = np.zeros_like(orders.begun), np.zeros_like(orders.begun)
    for row in range(1, len(orders.patient)):
        if orders.patient[row] != orders.patient[row - 1]:
            continue
        past = here[row - 1] | orders.begun[row - 1]
        if orders.stay[row] == orders.stay[row - 1]:
            here[row], earlier[row] = past, earlier[row - 1]
        else:
            earlier[row] = earlier[row - 1] | past
    known = (
        np.minimum(orders.age_years, _OLDEST), orders.male, orders.emergency, orders.elective,
        np.clip(orders.day, 0, 14), ~here.any(axis=1), np.log1p(here.sum(axis=1)),
    )  # fmt: skip
    some = np.logical_or(here, earlier).any(axis=1, keepdims=True)
    history = np.hstack((here, earlier, some)).astype(np.float64)
    return Cases(orders.patient, history, np.column_stack(known), ~here, orders.begun & ~here).wanted()


def _fit(cases: Cases) -> Recommenders:
    columns = cases.target, cases.candidate
    by_history = CollaborativeFiltering.fit(cases.history, *columns, factors=16, item_regularisation=30.0, iterations=8)
    content = ContentFilter.fit(cases.features, *columns, regularisation=300.0)
    return Recommenders.of(Hybrid(content, by_history, 0.5, 0.5), cases.history, *columns)


def left_out(cases: Cases, judged: Bools) -> Iterator[tuple[Recommenders, Cases]]:
    """For each tenth of the patients, recommenders fitted on the others, and those of its cases that are judged.

    Args:
        cases: Of all patients; of one alone nobody is left to learn from, and nothing is given.
        judged: (N,) which cases.
    """
    names, member = np.unique(cases.patient, return_inverse=True)
    for fold in range(min(FOLDS, len(names)) if len(names) > 1 else 0):
        own = member % FOLDS == fold
        if (own & judged).any():
            yield _fit(cases.of(~own)), cases.of(own & judged)


def prescription_figures(cases: Cases, judged: Bools) -> dict[str, dict[str, object]]:
    """Figures of the days after the first, and of cold starts; arguments as for `left_out`."""
    gain: list[dict[str, dict[str, Floats]]] = []
    order: list[Cases] = []
    for recommenders, own in left_out(cases, judged):
        gain.append(gains_by_method(recommenders, own, AT))
        order.append(own)
    if not order:
        return {}
    patient, cold = np.concatenate([one.patient for one in order]), np.concatenate([one.cold for one in order])
    found: dict[str, dict[str, object]] = {}
    for name, rows in (("drugs newly prescribed", ~cold), ("drugs prescribed at a cold start", cold)):
        if rows.any():
            pooled = {
                method: {metric: np.concatenate([one[method][metric] for one in gain])[rows] for metric in metrics}
                for method, metrics in gain[0].items()
            }
            counts = {"rows": int(rows.sum()), "patients": len(np.unique(patient[rows]))}
            found[name] = figures(pooled, patient[rows].tolist(), against=AGAINST) | counts
    return found
