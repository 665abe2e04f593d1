"""About the vitals model."""

from __future__ import annotations

from typing import Final

from models.training.cards.about import FIGURES, PHYSIONET_2012, PHYSIONET_2019, SPLIT, About

ABOUT: Final = About(
    what="A gated recurrence that reads a linear memory of running means, one step an event, from vital signs, urine "
    "output and laboratory values to two risks: sepsis (Sepsis-3) by now or within six hours, and death in hospital. "
    "Boosted trees taught it beside the labels: each training patient was judged by trees grown on other training "
    "patients. No tree is part of the model, and none saw a patient of the validation or held-out part.",
    data=(PHYSIONET_2019, PHYSIONET_2012),
    split=SPLIT.format(unit="patient")
    + " Sepsis is measured at every event of a stay, death at the last event of the first 48 hours. `utility` is the "
    "normalised utility of the 2019 challenge over every hour, alarms from `utility_threshold` on, which was chosen on "
    "the validation part; an hour without an event carries the last prediction.",
    figures=FIGURES,
    calibration="Temperature and bias a label, fitted on the validation part; prediction sets (yes, no) likewise.",
    limits=(
        "Anyone but adults in intensive care in the United States: wards, children and other places were not seen.",
        (
            "One hospital system for sepsis: how often something is measured and how long a patient has been known "
            "are part of what was learned."
        ),
        (
            "Columns that the data lack (consciousness, oxygen delivery and others not listed under `used` in the "
            "manifest) are ignored."
        ),
        (
            "Urine output was learned from charted volumes, the weight as noted (80 kg where none was), and only for "
            "death: the sepsis set has none."
        ),
        "Bands are by alert load (highest tenth and fiftieth of validation events), not by clinical benefit.",
    ),
    answers={
        3: "Two calibrated probabilities (sepsis by now or within six hours; death in hospital), a band for each, and "
        "the vital signs that moved them.",
        4: "Prediction.",
        6: "Adults in intensive care.",
        11: "Stays as the two challenges published them: adults in intensive care with at least some hours of records. "
        "Implausible values are taken as missing.",
        12: "Age and sex are inputs. Race, ethnicity, language, sexual orientation, gender identity, social "
        "determinants and health-status assessments are not.",
        13: "Age and sex are as in the published sets; `wardstream evaluate` shows how many rows each group has. "
        "Everything else is not known.",
        14: "Intensive care in the United States, years before today; a ward elsewhere measures less often and treats "
        "other patients.",
    },
)
