"""What is foreign to the notes network: fitted on whole notes and short pieces, for notes of a ward are short."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import Tensor

from models.notes import NotesEncoder
from models.tokens import NoteTokenizer

_SHORTEST: Final = 8  # tokens of a piece
_LONGEST: Final = 160
_PIECES: Final = 2  # of a text


@torch.inference_mode()
def _pieces(network: NotesEncoder, tokenizer: NoteTokenizer, texts: Sequence[str], seed: int) -> tuple[Tensor, ...]:
    """Each text whole, and random stretches of it, lengths spread evenly on a logarithmic scale.

    Returns:
        (N, 32) embeddings, (N,) strangeness of writing, (N,) tokens.
    """
    random = np.random.default_rng(seed)
    found: list[tuple[Tensor, ...]] = []
    for text in texts:
        tokens = tokenizer.encode([text], network.config.max_tokens)
        length = max(int(tokens.mask.sum()), 1)
        spans = [(0, length)]
        for _ in range(_PIECES):
            width = int(np.exp(random.uniform(np.log(_SHORTEST), np.log(_LONGEST))))
            first = int(random.integers(max(length - width, 0) + 1))
            spans.append((first, min(first + width, length)))
        for first, last in spans:
            ids = torch.from_numpy(tokens.ids[:, first:last])
            mask = torch.from_numpy(tokens.mask[:, first:last])
            found.append((network(ids, mask).embedding, *network.writing.mean(ids, mask)))
    return tuple(torch.cat(one) for one in zip(*found, strict=True))


def fit(
    network: NotesEncoder, tokenizer: NoteTokenizer, training: Sequence[str], held_back: Sequence[str], seed: int
) -> None:
    """Set the network's two measures, so that each flags about one in two hundred ordinary texts."""
    seen, _, _ = _pieces(network, tokenizer, training, seed)
    unseen, strange, count = _pieces(network, tokenizer, held_back, seed + 1)
    network.novelty.fit(seen, unseen)
    network.writing.fit(strange, count)
