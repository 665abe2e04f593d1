"""About fusion."""

from __future__ import annotations

from typing import Final

from models.training.cards.about import FIGURES, KERMANY, MTSAMPLES, PHYSIONET_2019, SPLIT, About

ABOUT: Final = About(
    what="Late fusion: the calibrated log odds of the vitals, plus bounded evidence from a note and an image.",
    data=(PHYSIONET_2019, KERMANY, MTSAMPLES),
    split=SPLIT.format(unit="patient"),
    figures=FIGURES,
    calibration="None of its own: with vitals alone it is the calibrated vitals risk.",
    limits=(
        (
            "CONSTRUCTED COHORT. No set links vitals, notes and images of one patient: hours, notes and films of "
            "different people were paired by label, with a strength chosen by us. The gain over vitals alone was "
            "put in by that pairing and says nothing about patients."
        ),
        "Films of children beside adults in intensive care.",
    ),
    answers={
        3: "A calibrated probability of sepsis by now or within six hours, and the share of each modality in it.",
        4: "Prediction.",
        6: "None: the cohort is constructed of different people.",
        11: "As for the vitals, notes and imaging models, whose outputs were paired by label.",
        12: "None of its own; the vitals model beneath it takes age and sex.",
        13: "Not known, and without meaning in a constructed cohort.",
        14: "Little: no patient's vitals, notes and films were seen together.",
    },
)
