"""How strongly a rule is met: how many independent reasons hold, and how many of them hold by a clinical step or more.

A reason is an alternative of the rule ("any of"); alternatives that share a variable are one. A reason is counted once
more where it still holds with its thresholds moved one step away from normal: a pressure of 85 just meets "90 or less",
one of 80 meets it by a step. What is unknown never counts, as in any predicate. Flags, words, bands ("between") and
what models say have no steps.

A step is the width of a published band, or the way from one published threshold to the next. Where the threshold of a
rule is the outermost that is published (a pulse of 131, a lactate of 4), no source says what lies a step beyond: that
the step is as wide there is policy, like every step whose source says so. The sources say where the bands lie; none
says that a reason is to count twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from models.clinical.predicates import Term, terms_of


class Step(NamedTuple):
    """How far a threshold moves.

    Attributes:
        low: Where the rule asks for low values, in the unit of the variable; 0 where no rule does.
        high: The same where it asks for high values.
        source: Where the width comes from; "policy" where nothing published carries it.
    """

    low: float
    high: float
    source: str


STEPS: Final[Mapping[str, Step]] = {
    "news2.total": Step(0, 2, "NEWS2 (RCP 2017) chart 4: urgent from 5, emergency from 7"),
    "news2.sub.spo2": Step(0, 1, "NEWS2 (RCP 2017) chart 1: 2 and 3 points"),
    "respiration_rate": Step(3, 4, "NEWS2 (RCP 2017) chart 1: bands 9-11 and 21-24"),
    "spo2": Step(2, 2, "NEWS2 (RCP 2017) chart 1: bands of both scales"),
    "systolic_bp": Step(10, 0, "NEWS2 (RCP 2017) chart 1: bands 91-100 and 101-110"),
    "pulse": Step(10, 20, "NEWS2 (RCP 2017) chart 1: bands 41-50 and 111-130"),
    "temperature": Step(1.0, 1.0, "NEWS2 (RCP 2017) chart 1: bands 35.1-36.0 and 38.1-39.0"),
    "qsofa.total": Step(0, 1, "policy: Sepsis-3 (2016) has the threshold 2 alone"),
    "shock_index": Step(0, 0.4, "Mutschler 2013, Crit Care 17:R172: groups from 1.0 and 1.4, of trauma patients"),
    "lab.lactate": Step(0, 2.0, "Surviving Sepsis Campaign hour-1 bundle (2018): 2 and 4 mmol/L"),
    "lab.potassium": Step(
        0.5,
        0.5,
        "high: UK Kidney Association 2023, bands from 5.5, 6.0 and 6.5; "
        "low: RCEM Learning, bands below 3.5, 3.0 and 2.5 mmol/L",
    ),
    "lab.aki_stage": Step(0, 1, "KDIGO 2012: stages 1 to 3"),
    "urine_ml_kg_h": Step(0.2, 0, "KDIGO 2012: 0.5 and, over 24 h, 0.3 mL/kg/h; how long it lasts is not looked at"),
    "abg.ph": Step(0.1, 0, "BTS/ICS 2016, Thorax 71 Suppl 2: 7.35, and 7.25 for considering invasive ventilation"),
    "abg.paco2_kpa": Step(
        0, 1.5, "policy: 6.5 kPa is from BTS/ICS 2016; no guideline with a higher threshold was found"
    ),
    "map": Step(10, 0, "policy: 65 mm[Hg] is the target of the bundle; no guideline with a lower threshold was found"),
}
"""By variable. The bands were read in the tables of this package (NEWS2) and in public copies, abstracts and summaries,
not all of them in the original: UK Kidney Association, KDIGO and the bundle as others quote them.
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
    step = -STEPS[variable].low if operator.startswith("<") else STEPS[variable].high
    return [variable, operator, round(constant + step, _DIGITS)] if step else None
