"""Networks of the shipped sizes with random weights: for tests of everything around them.

Their manifests say `trained: false`; their outputs mean nothing.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch

from models import imaging, vitals
from models.fusion import LateFusion
from models.imaging import ImagingEncoder
from models.notes import NotesConfig, NotesEncoder
from models.tokens import FILE, NoteTokenizer
from models.vitals import VitalsEncoder
from models.weights import Manifest, save

_WORDS = (
    "patient admitted with chest pain shortness of breath fever cough on oxygen antibiotics given started blood "
    "pressure low heart rate high lungs clear abdomen soft no acute distress follow up in the morning . , : 0 1 2 3"
)
NOTE_LABELS = ("general medicine", "surgery", "radiology")


def write_untrained(folder: Path, seed: int = 0) -> None:
    """Write one artefact a network.

    Args:
        folder: Gets the folders vitals, notes, imaging and fusion.
        seed: Of the weights; the same seed gives the same files.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = NoteTokenizer.train([_WORDS] * 3, 400)
        vitals_net = VitalsEncoder()
        imaging_net = ImagingEncoder()
        notes_net = NotesEncoder(NotesConfig(len(tokenizer), len(NOTE_LABELS)))
        fusion_net = LateFusion()
    networks = {"vitals": vitals_net, "notes": notes_net, "imaging": imaging_net, "fusion": fusion_net}
    labels = {
        "vitals": vitals.LABELS, "notes": NOTE_LABELS, "imaging": imaging.LABELS, "fusion": ("sepsis_6h",),
    }  # fmt: skip
    for name, network in networks.items():
        save(
            folder / name,
            network.state_dict(),
            Manifest(
                name=name, version="0.0.0", trained=False, config=asdict(network.config), labels=labels[name],
                notes="Random weights: outputs mean nothing.",
            ),
        )  # fmt: skip
    tokenizer.save(folder / "notes" / FILE)
