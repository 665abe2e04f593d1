"""What a card says beside the figures, and what is the same for every model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

NOT_KNOWN: Final = "not known"
"""The answer where nobody knows; nothing is invented."""


@dataclass(frozen=True, slots=True)
class About:
    """What no figure says.

    Attributes:
        what: The model, in a sentence or two.
        data: One line a set, with licence and citation; an artefact of other sets has its own in the manifest.
        split: How the held-out part was chosen.
        figures: How to read the held-out figures.
        calibration: How probabilities were fitted.
        limits: What it is not for, one line each.
        made: How the examples were made of the data, if that needs telling.
        answers: To source attributes by number, in place of or beside those of `COMMON_ANSWERS`. Numbers 9, 10, 21
            and 22 are made of the limits and the figures when left out.
    """

    what: str
    data: tuple[str, ...]
    split: str
    figures: str
    calibration: str
    limits: tuple[str, ...]
    made: str = ""
    answers: Mapping[int, str] = field(default_factory=dict)


SPLIT: Final = (
    "By {unit} (SHA-256 of the identifier): 68 % training, 12 % validation (calibration, thresholds, novelty), "
    "20 % held out. The figures below are of the held-out part, with 95 % bootstrap intervals over {unit}s."
)
FIGURES: Final = "AUROC, AUPRC, Brier score, expected calibration error (15 bins of equal size): value (95 % interval)."
DISCLAIMER: Final = (
    "Decision support for research, not a certified device. Never the only ground for treating or not treating."
)

PHYSIONET_2019: Final = (
    "PhysioNet/CinC Challenge 2019, hospital system B (subset), CC BY 4.0. Reyna et al., Crit Care Med 48(2):210-217 "
    "(2020), doi:10.1097/CCM.0000000000004145"
)
PHYSIONET_2012: Final = (
    "PhysioNet/CinC Challenge 2012, sets a and b, ODC-BY 1.0. Silva et al., Computing in Cardiology 39:245-248 (2012)"
)
KERMANY: Final = (
    "Kermany chest radiographs (training split), CC BY 4.0. Kermany et al., Cell 172(5):1122-1131 (2018), "
    "doi:10.17632/rscbjbr9sj.2"
)
MTSAMPLES: Final = (
    "MTSamples transcriptions (subset), CC0 as claimed by the crawler's release; the site itself states no open "
    "licence. Only weights and a vocabulary of words and pieces of words ship, no text"
)
MTS_DIALOG: Final = (
    "MTS-Dialog (training and validation splits), CC BY 4.0. Ben Abacha et al., An Empirical Study of Clinical Note "
    "Generation from Doctor-Patient Encounters, EACL 2023"
)
MINILM_SHA256: Final = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of its weights."""
MINILM: Final = (
    "Vectors of words from all-MiniLM-L6-v2 (Apache-2.0): folded into the tables of words, the encoder itself does "
    "not ship"
)

DIABETES_130: Final = (
    "Diabetes 130-US hospitals, 1999 to 2008 (subset of patients), CC BY 4.0. Strack et al., BioMed Res Int "
    "2014:781670, doi:10.24432/C5230J; for the recommenders of drugs"
)

_NOT_DONE: Final = "None: no assessment outside the sets it was trained on has been made."
COMMON_ANSWERS: Final[Mapping[int, str]] = {
    1: f"The wardstream project (open source). Contact: {NOT_KNOWN}.",
    2: NOT_KNOWN,
    5: "Research on streaming decision support, and a worked example for those who train their own models.",
    7: (
        "Engineers and clinical researchers. Not clinicians in care, until a hospital has validated it on its own "
        "patients and answers for its use."
    ),
    8: (
        "Informs. NEWS2 and the rules stand beside it: it may add to them or raise a risk, and can suppress nothing. "
        "It replaces no clinical judgement."
    ),
    12: "None of these is an input.",
    15: "None was taken: the output was not adjusted by group.",
    16: "None.",
    17: _NOT_DONE,
    18: "Nobody.",
    19: f"{NOT_KNOWN}: there was no external assessment.",
    20: "There was none.",
    23: f"{NOT_KNOWN}: not measured.",
    24: f"{NOT_KNOWN}: not measured.",
    25: "None: nobody has studied what using it does to patients.",
    26: (
        "No schedule. A hospital can repeat `wardstream evaluate` on its own labelled records; workers count inputs "
        "that are unlike the training data."
    ),
    27: f"{NOT_KNOWN}: run `wardstream evaluate` on local records.",
    28: "No schedule. `wardstream evaluate` gives the figures of subgroups where age, sex or unit are known.",
    29: f"{NOT_KNOWN}: run `wardstream evaluate` on local records.",
    30: (
        "No schedule. A new version is a new artefact of `wardstream train` with a card of its own, chosen by "
        "`wardstream models activate`; versions before it stay for going back."
    ),
    31: f"{NOT_KNOWN}: there is no schedule for corrections.",
}
