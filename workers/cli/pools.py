"""What the constructed cohort is drawn from: hours, notes and films of a data folder, as the networks see them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from models.bundle import Bundle
from models.calibration import calibrated_logits
from models.training import imaging, note_texts
from models.training.cohort import ACUTE_NOTES, Hours, Pool
from models.training.scores import score
from models.training.sequences import sequence
from models.vitals import LABELS
from workers.datasets import mtsamples, physionet2019
from workers.datasets.films import films
from workers.datasets.folder import DatasetError

Keep = Callable[[str], bool]


def note_pool(bundle: Bundle, data: Path, keep: Keep) -> tuple[Pool, list[str]]:
    """Notes, and whose they are."""
    kept = [note for note in mtsamples.notes(data) if keep(note.note_id)]
    _need(len(kept), mtsamples.FILE, "notes")
    embedded = note_texts.encode(bundle.notes, bundle.tokenizer, [note.text for note in kept]).embedding.numpy()
    acute = np.array([not ACUTE_NOTES.isdisjoint(note.specialties) for note in kept])
    return Pool(embedded, acute), [note.note_id for note in kept]


def film_pool(bundle: Bundle, data: Path, keep: Keep) -> tuple[Pool, list[str]]:
    """Films of children, and whose they are."""
    pixels, label, patient = films(data)
    rows = np.flatnonzero([keep(name) for name in patient])
    _need(len(rows), "the folder", "films")
    seen = imaging.encode(bundle.imaging, pixels[rows]).embedding.numpy()
    return Pool(seen, label[rows] > 0), [patient[i] for i in rows]


def sepsis_hours(bundle: Bundle, data: Path, keep: Keep) -> Hours:
    """Hours of sepsis stays with the calibrated vitals logit."""
    stays = [sequence(stay) for stay in physionet2019.stays(data) if keep(f"sepsis/{stay.patient_id}")]
    stays = [stay for stay in stays if len(stay.label)]
    _need(len(stays), physionet2019.FILE, "stays")
    found = score(bundle.vitals, stays, LABELS.index("sepsis_6h"))
    calibration = bundle.manifests["vitals"].calibration
    logit = calibrated_logits(found.logit[:, None], ("sepsis_6h",), calibration)[:, 0]
    return Hours(logit, found.label, found.patient)


def _need(count: int, file: str, what: str) -> None:
    if not count:
        raise DatasetError(f"{file} holds no {what} of the part that is asked for")
