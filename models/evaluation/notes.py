"""The notes model on texts: every label that occurs, all of them together, one organ system of several, sections."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.bundle import Bundle
from models.calibration import calibrated_logits, probabilities
from models.conformal import limits
from models.evaluation.figures import Question, Summary
from models.evaluation.tfidf import NAME, TfIdf
from models.training.metrics import Draws, calibration_error
from models.training.note_texts import NoteSet, SectionSet, encode, section_logits
from models.training.notes_figures import Organs, one_of, prediction_sets, several

_HALF: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Read:
    """What the model says of N notes: truth and probability are (N, L)."""

    truth: NDArray[np.float64]
    probability: NDArray[np.float64]
    flagged: NDArray[np.bool_]


def _read(bundle: Bundle, notes: NoteSet) -> _Read:
    manifest = bundle.manifests["notes"]
    out = encode(bundle.notes, bundle.tokenizer, notes.texts)
    probability = probabilities(calibrated_logits(out.logits.numpy(), manifest.labels, manifest.calibration))
    truth = np.array([[float(name in of) for name in manifest.labels] for of in notes.specialties])
    return _Read(truth, probability.astype(float), (out.novelty > 1).numpy())


def notes_questions(
    bundle: Bundle, notes: NoteSet, organs: Organs, *, fitted: NoteSet | None = None
) -> Iterator[Question | Summary]:
    """Specialties and document types.

    Args:
        bundle: Loaded models.
        notes: To be judged.
        organs: For the question which one of several organ systems a note is of.
        fitted: Other notes, which the baseline is fitted to; None: no baseline.
    """
    manifest = bundle.manifests["notes"]
    read = _read(bundle, notes)
    beside = None
    if fitted is not None:
        known = np.array([[int(name in of) for name in manifest.labels] for of in fitted.specialties], np.int64)
        beside = TfIdf(fitted.texts, known).scores(notes.texts)
    for column, name in enumerate(manifest.labels):
        if read.truth[:, column].any():
            scores = {} if beside is None else {NAME: beside[:, column]}
            yield Question(
                name, read.truth[:, column], read.probability[:, column], np.array(notes.note_id), scores
            )  # fmt: skip
    yield _several(bundle, notes, read, beside)
    rows, _ = organs.single(notes.specialties)
    if len(rows):
        yield _single_organ(bundle, notes, organs, read, fitted)


def _several(bundle: Bundle, notes: NoteSet, read: _Read, beside: NDArray[np.float64] | None) -> Summary:
    manifest = bundle.manifests["notes"]
    least = np.array([manifest.thresholds[k].high if k in manifest.thresholds else _HALF for k in manifest.labels])
    who = list(notes.note_id)
    flat = [*np.repeat(np.array(who), read.truth.shape[1]).tolist()]
    found = several(read.truth, read.probability, least, who)
    found["ece_of_all_labels"] = Draws(flat).interval(
        calibration_error, read.truth.ravel(), read.probability.ravel()
    )  # fmt: skip
    if manifest.conformal.keys() >= set(manifest.labels):
        found |= prediction_sets(read.truth, read.probability, limits(manifest.labels, manifest.conformal), who)
    found["share_flagged_as_foreign"] = round(float(read.flagged.mean()), 4)
    if beside is not None:
        found[NAME] = several(read.truth, beside, np.full(len(least), _HALF), who)
    return Summary("all labels, several a note", found)


def _single_organ(bundle: Bundle, notes: NoteSet, organs: Organs, read: _Read, fitted: NoteSet | None) -> Summary:
    rows, number = organs.single(notes.specialties)
    draws = Draws([notes.note_id[i] for i in rows])
    said = organs.chosen(read.probability[rows], bundle.manifests["notes"].labels)
    found = one_of(number, said, draws, organs.classes)
    if fitted is not None:
        known, classes = organs.single(fitted.specialties)
        model = TfIdf([fitted.texts[i] for i in known], classes)
        found[NAME] = _short(one_of(number, model.classes([notes.texts[i] for i in rows]), draws, organs.classes))
    return Summary("one organ system of several", found)


def _short(figures: dict[str, object]) -> dict[str, object]:
    """A baseline's figures without those of each class."""
    return {name: value for name, value in figures.items() if not name.endswith("_of_each")}


def section_summaries(bundle: Bundle, sections: SectionSet, *, fitted: SectionSet | None = None) -> Iterator[Summary]:
    """The header over a section, told from what was said and from what was written of it.

    Args:
        bundle: Loaded models.
        sections: To be judged.
        fitted: Other sections, which the baseline is fitted to; None: no baseline.
    """
    headers = tuple(bundle.manifests["notes"].input.get("sections", ()))
    if not headers or not sections.header:
        return
    names = (*headers, *sorted(set(sections.header) - set(headers)))
    number = np.array([names.index(header) for header in sections.header])
    draws = Draws(list(sections.section_id))
    for way in ("spoken", "written"):
        texts: Sequence[str] = getattr(sections, way)
        said = section_logits(bundle.notes, bundle.tokenizer, texts).argmax(1)
        found = one_of(number, said, draws, names)
        if fitted is not None:
            known = [i for i, header in enumerate(fitted.header) if header in names]
            model = TfIdf(
                [getattr(fitted, way)[i] for i in known], np.array([names.index(fitted.header[i]) for i in known])
            )
            found[NAME] = _short(one_of(number, model.classes(texts), draws, names))
        yield Summary(f"section header, from what was {way}", found)
