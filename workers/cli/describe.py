"""Writing the card of an artefact beside its weights."""

from __future__ import annotations

import json
from pathlib import Path

from models.training.cards.card import facts, markdown
from models.weights import Manifest

CARD = "CARD.md"
CARD_JSON = "card.json"


def describe(folder: Path, manifest: Manifest) -> None:
    """Write CARD.md and card.json of the artefact that lies in a folder.

    Raises:
        KeyError: There is nothing to say about a model of this name.
    """
    (folder / CARD).write_text(markdown(manifest), encoding="utf-8")
    (folder / CARD_JSON).write_text(json.dumps(facts(manifest), indent=2) + "\n", encoding="utf-8")
