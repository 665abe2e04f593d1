"""The card of a network: what it is, what it was trained on, its held-out figures, what it is not for.

Every figure comes from the manifest that the same training run wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from models.weights import Manifest


@dataclass(frozen=True, slots=True)
class About:
    """What no figure says.

    Attributes:
        what: The network, in a sentence or two.
        data: One line a set, with licence and citation.
        split: How the held-out part was chosen.
        calibration: How probabilities were fitted.
        limits: What it is not for, one line each.
    """

    what: str
    data: tuple[str, ...]
    split: str
    calibration: str
    limits: tuple[str, ...]


_SPLIT = (
    "By {unit} (SHA-256 of the identifier): 68 % training, 12 % validation (calibration, thresholds, novelty), "
    "20 % held out. The figures below are of the held-out part, with 95 % bootstrap intervals over {unit}s."
)
_PHYSIONET_2019 = (
    "PhysioNet/CinC Challenge 2019, hospital system B (subset), CC BY 4.0. Reyna et al., Crit Care Med 48(2):210-217 "
    "(2020), doi:10.1097/CCM.0000000000004145"
)
_PHYSIONET_2012 = (
    "PhysioNet/CinC Challenge 2012, sets a and b, ODC-BY 1.0. Silva et al., Computing in Cardiology 39:245-248 (2012)"
)
_KERMANY = (
    "Kermany chest radiographs (training split), CC BY 4.0. Kermany et al., Cell 172(5):1122-1131 (2018), "
    "doi:10.17632/rscbjbr9sj.2"
)
_MTSAMPLES = (
    "MTSamples transcriptions (subset), CC0 as claimed by the crawler's release; the site itself states no open "
    "licence. Only weights and a subword vocabulary ship, no text"
)
_COMMON = "Decision support for research, not a certified device. Never the only ground for treating or not treating."

ABOUT: Final[Mapping[str, About]] = {
    "vitals": About(
        what="A gated recurrence, one step an event, from vital signs and laboratory values to two risks: sepsis "
        "(Sepsis-3) by now or within six hours, and death in hospital.",
        data=(_PHYSIONET_2019, _PHYSIONET_2012),
        split=_SPLIT.format(unit="patient")
        + " Sepsis is measured at every event of a stay, death at the last event of the first 48 hours.",
        calibration="Temperature and bias a label, fitted on the validation part.",
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
            "Bands are by alert load (highest tenth and fiftieth of validation events), not by clinical benefit.",
        ),
    ),
    "imaging": About(
        what="A small residual CNN from a grey chest radiograph to normal, bacterial or viral pneumonia, with a "
        "class-activation map.",
        data=(_KERMANY,),
        split=_SPLIT.format(unit="patient"),
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
    ),
    "notes": About(
        what="Two attention blocks over subwords, from an English note to its specialties, with the words that "
        "counted.",
        data=(_MTSAMPLES,),
        split=_SPLIT.format(unit="note"),
        calibration="One temperature and bias for all labels, fitted on the validation part.",
        limits=(
            "Transcription samples, not notes of a ward; English only, other languages are not reliably flagged.",
            "Specialties and document types, not diagnoses: no finding is extracted, negation is not understood.",
            "Only the first 256 subwords are read.",
            "Saliency is of places after two attention blocks: a word may stand for its neighbours.",
        ),
    ),
    "fusion": About(
        what="Late fusion: the calibrated log odds of the vitals, plus bounded evidence from a note and an image.",
        data=(_PHYSIONET_2019, _KERMANY, _MTSAMPLES),
        split=_SPLIT.format(unit="patient"),
        calibration="None of its own: with vitals alone it is the calibrated vitals risk.",
        limits=(
            (
                "CONSTRUCTED COHORT. No set links vitals, notes and images of one patient: hours, notes and films of "
                "different people were paired by label, with a strength chosen by us. The gain over vitals alone was "
                "put in by that pairing and says nothing about patients."
            ),
            "Films of children beside adults in intensive care.",
        ),
    ),
}


def _cell(value: object) -> str:
    if isinstance(value, list) and len(value) == 3:
        return f"{value[0]} ({value[1]} to {value[2]})"
    return str(value)


def _tables(metrics: Mapping[str, object]) -> list[str]:
    lines, single = [], []
    for name, figures in metrics.items():
        if not isinstance(figures, Mapping):
            single.append(f"- `{name}`: {figures}")
            continue
        lines += ["", f"**{name}**", "", "| figure | value |", "|---|---|"]
        lines += [f"| {key} | {_cell(value)} |" for key, value in figures.items()]
    return [*lines, "", *single]


def card(manifest: Manifest) -> str:
    """CARD.md of a trained network, from its manifest as saved.

    Raises:
        KeyError: There is nothing to say about a network of this name.
    """
    about = ABOUT[manifest.name]
    fitted = [
        f"- {label}: temperature {one.temperature}, bias {one.bias}" for label, one in manifest.calibration.items()
    ]
    return "\n".join(
        [
            f"# {manifest.name} {manifest.version}", "", about.what, "", _COMMON, "",
            "## Data", "", *(f"- {line}." for line in about.data), "",
            f"Weights: {manifest.licence}. SHA-256 `{manifest.sha256}`.", "",
            "## Split", "", about.split, "",
            "## Held-out figures", "",
            "AUROC, AUPRC, Brier score, expected calibration error (15 bins of equal size): value (95 % interval).",
            *_tables(manifest.metrics), "",
            "## Calibration", "", about.calibration, "", *sorted(set(fitted)), "",
            "## Not for", "", *(f"- {line}" for line in about.limits), "",
            "Made by `wardstream train`.", "",
        ]
    )  # fmt: skip
