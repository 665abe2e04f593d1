"""How strongly a rule is met: how many independent reasons hold, and how many of them hold by a clinical step or more.

A reason is an alternative of the rule ("any of"); alternatives that share a variable are one. A reason is counted once
more where it still holds with its thresholds moved one step away from normal, a step being the width of the next band
of the clinical scale: a pressure of 85 just meets "90 or less", one of 80 meets it by a step. What is unknown never
counts, as in any predicate. Flags, words, bands ("between") and what models say have no steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from models.clinical.predicates import Term, terms_of

STEPS: Final[Mapping[str, tuple[float, float]]] = {
    # Bands and tiers of NEWS2 (RCP 2017, charts 1 and 4).
    "news2.total": (0, 2),
    "news2.sub.spo2": (0, 1),
    "respiration_rate": (3, 4),
    "spo2": (2, 2),
    "systolic_bp": (10, 0),
    "pulse": (10, 20),
    "temperature": (1.0, 1.0),
    # From one published threshold to the next.
    "qsofa.total": (0, 1),  # Sepsis-3, 2016
    "shock_index": (0, 0.4),  # classes of Mutschler 2013, Crit Care 17:R172
    "lab.lactate": (0, 2.0),  # 2 and 4 mmol/L, Surviving Sepsis Campaign
    "lab.potassium": (0.5, 0.5),  # bands of the UK Kidney Association
    "lab.aki_stage": (0, 1),  # KDIGO 2012
    "urine_ml_kg_h": (0.2, 0),  # 0.5 and 0.3 mL/kg/h, KDIGO 2012
    "abg.ph": (0.1, 0),  # 7.35 and 7.25, BTS/ICS 2016
    # Policy: no published band was found.
    "abg.paco2_kpa": (0, 1.5),
    "map": (10, 0),
}
"""By variable, how far a threshold moves where the rule asks for low values, and where for high ones; 0 stands where it
asks for none.
"""

_DIGITS: Final = 6
"""Thresholds are decimal: 39.1 and a step of 1.0 are 40.1."""


def parts_of(indications: Any) -> list[list[Term]]:
    """What is counted of a rule, as terms of which one must hold: its reasons, then those moved by a step."""
    found = [*_reasons(indications)]
    firm = [[moved for clause in clauses if (moved := _moved(clause)) is not None] for clauses in found]
    return [[term for clause in clauses for term in terms_of(clause)] for clauses in (*found, *firm) if clauses]


def _reasons(indications: Any) -> Iterator[list[Any]]:
    """The alternatives of a rule, those that share a variable together."""
    made: list[tuple[set[str], list[Any]]] = []
    for clause in indications.get("any", [indications]):
        variables, clauses = {leaf.variable for term in terms_of(clause) for leaf in term}, [clause]
        for shared in (one for one in made if one[0] & variables):
            variables, clauses = variables | shared[0], shared[1] + clauses
        made = [*(one for one in made if not one[0] & variables), (variables, clauses)]
    return (clauses for _, clauses in made)


def _moved(predicate: Any) -> Any | None:
    """The predicate with each threshold one step on, for alternatives those that have one; None where none has."""
    if isinstance(predicate, list):
        return _moved_leaf(*predicate)
    ((word, operand),) = predicate.items()
    if word == "not":
        return None
    moved = [_moved(each) for each in operand]
    if all(each is None for each in moved):
        return None
    if word == "any":
        return {"any": [each for each in moved if each is not None]}
    return {"all": [old if new is None else new for old, new in zip(operand, moved, strict=True)]}


def _moved_leaf(variable: str, operator: str, constant: Any) -> list[Any] | None:
    if variable not in STEPS or operator not in {"<", "<=", ">", ">="}:
        return None
    low, high = STEPS[variable]
    step = -low if operator.startswith("<") else high
    return [variable, operator, round(constant + step, _DIGITS)] if step else None
