"""Networks of the shipped sizes with random weights, and an unfitted ranker: for tests of everything around them.

Their manifests say `trained: false`; their outputs mean nothing.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch

from models import imaging, vitals
from models.clinical.actions import Catalogue
from models.columns import COLUMNS
from models.fusion import LateFusion
from models.imaging import ImagingEncoder
from models.notes import NotesConfig, NotesEncoder
from models.recommend.ranker import Ranker
from models.tokens import FILE, NoteTokenizer
from models.vitals import VitalsEncoder
from models.weights import Manifest, save

_WORDS = (
    "patient admitted with chest pain shortness of breath fever cough on oxygen antibiotics given started blood "
    "pressure low heart rate high lungs clear abdomen soft no acute distress follow up in the morning . , : 0 1 2 3"
)
NOTE_LABELS = ("general medicine", "surgery", "radiology")


def write_untrained(folder: Path, seed: int = 0) -> None:
    """Write one artefact a model.

    Args:
        folder: Gets the folders vitals, notes, imaging, fusion and ranker.
        seed: Of the weights; the same seed gives the same files.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = NoteTokenizer.build([_WORDS] * 2)
        vitals_net = VitalsEncoder()
        imaging_net = ImagingEncoder()
        notes_net = NotesEncoder(NotesConfig(len(tokenizer), len(NOTE_LABELS)))
        fusion_net = LateFusion()
    beside = {"notes": {FILE: tokenizer.content()}}
    for name, network, config, labels in (
        ("vitals", vitals_net, asdict(vitals_net.config), vitals.LABELS),
        ("imaging", imaging_net, asdict(imaging_net.config), imaging.LABELS),
        ("notes", notes_net, asdict(notes_net.config), NOTE_LABELS),
        ("fusion", fusion_net, asdict(fusion_net.config), ("sepsis_6h",)),
    ):
        manifest = Manifest(
            name=name, version="0.0.0", trained=False, config=config, labels=labels,
            notes="Random weights: outputs mean nothing.",
        )  # fmt: skip
        save(folder / name, network.state_dict(), manifest, beside.get(name))
    unfitted = Manifest(name="ranker", version="0.0.0", trained=False, notes="Fitted to nothing: rules and risk only.")
    save(folder / "ranker", Ranker.unfitted(Catalogue.load(), len(COLUMNS)).state_dict(), unfitted)
