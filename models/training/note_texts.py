"""What the notes network is trained on and judged by, and running it over texts as the live pipeline does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from models.notes import NotesEncoder, NotesOut
from models.tokens import NoteTokenizer


class NoteSet(NamedTuple):
    """N notes.

    Attributes:
        texts: As written.
        specialties: Of each note, one or more.
        note_id: Of each note.
        about: A short description of each, used as a further training text with the same specialties; may be empty.
    """

    texts: Sequence[str]
    specialties: Sequence[Sequence[str]]
    note_id: Sequence[str]
    about: Sequence[str] = ()


class SectionSet(NamedTuple):
    """N sections, each as it was spoken and as it was written.

    Attributes:
        spoken: Dialogues of doctor and patient.
        written: What a note says of them.
        header: The header above it.
        section_id: Of each, as the split knows it.
    """

    spoken: Sequence[str]
    written: Sequence[str]
    header: Sequence[str]
    section_id: Sequence[str]


@torch.inference_mode()
def encode(network: NotesEncoder, tokenizer: NoteTokenizer, texts: Sequence[str]) -> NotesOut:
    """Run every text as the live pipeline does: embedding, logits, novelty; saliency is left empty."""
    outs = []
    for first in range(0, len(texts), 32):
        tokens = tokenizer.encode(texts[first : first + 32], network.config.max_tokens)
        outs.append(network(torch.from_numpy(tokens.ids), torch.from_numpy(tokens.mask)))
    return NotesOut(
        torch.cat([out.embedding for out in outs]), torch.cat([out.logits for out in outs]),
        torch.empty(0), torch.cat([out.novelty for out in outs]),
    )  # fmt: skip


@torch.inference_mode()
def section_logits(network: NotesEncoder, tokenizer: NoteTokenizer, texts: Sequence[str]) -> NDArray[np.float32]:
    """(N, sections) logits of every text."""
    outs = []
    for first in range(0, len(texts), 32):
        tokens = tokenizer.encode(texts[first : first + 32], network.config.max_tokens)
        outs.append(network.sections(torch.from_numpy(tokens.ids), torch.from_numpy(tokens.mask)))
    return np.asarray(torch.cat(outs).numpy())
