"""About the imaging model."""

from __future__ import annotations

from typing import Final

from models.training.cards.about import FIGURES, KERMANY, SPLIT, About

ABOUT: Final = About(
    what="A small residual CNN from a grey chest radiograph to normal, bacterial or viral pneumonia, with a "
    "class-activation map.",
    data=(KERMANY,),
    split=SPLIT.format(unit="patient"),
    figures=FIGURES,
    calibration="One temperature, fitted on the validation part.",
    limits=(
        "Anyone but children of one to five years of one hospital: on adult films take it to be at chance.",
        (
            "The source squashed aspect ratios, and sharpness differs between its classes: a shortcut the network "
            "may use."
        ),
        (
            "`novel_share_foreign` in the figures is the share of NIH adult films flagged as unlike the training "
            "data. What the flag looks at was chosen with these films in view: of other adults expect less."
        ),
    ),
    answers={
        3: "Calibrated probabilities of normal, bacterial and viral pneumonia, which add up to 1, a map of where in "
        "the film the evidence lies, and whether the film is unlike the training data.",
        4: "Classification.",
        6: "Children of one to five years with a frontal chest radiograph.",
        11: "Films as the source published them, after its own check of quality; labels by two physicians, a third for "
        "the test part (Kermany 2018).",
        13: "Not known: the set has no age, sex or origin of a child.",
        14: "One children's hospital (Guangzhou Women and Children's Medical Center): other machines and adults differ "
        "from what was seen.",
        23: "Adult films of another source (NIH) come with other labels; only the share flagged as unlike the training "
        "data was measured (`novel_share_foreign`).",
    },
)
