"""Vectors of words, from what a large pretrained encoder makes of each word by itself.

So a word that no training note has still lies near those that mean something like it. The encoder is needed in
training alone; what is learned from its vectors is folded into the network's own tables.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from models.bert import Encoder
from models.tokens import INSIDE, PAD, UNKNOWN
from models.training.outcome import Progress, silent

_BATCH = 256


@torch.inference_mode()
def word_vectors(vocabulary: Sequence[str], encoder: Encoder, progress: Progress = silent) -> NDArray[np.float32]:
    """A vector for each token.

    Args:
        vocabulary: Tokens by id; the first two are padding and the unknown one.
        encoder: Its own pieces are taken as they are, also those inside words; other words are split as it splits.
        progress: Told of each batch.

    Returns:
        (V, D): the mean of the encoder's outputs for the token between its marks of beginning and end, scaled to length
        1, less the mean over the vocabulary. Zero for padding and the unknown token.
    """
    pieces = encoder.tokenizer.get_vocab()
    begin, end = encoder.tokenizer.encode("").ids
    by_length: dict[int, list[int]] = defaultdict(list)
    ids: list[list[int]] = []
    for number, word in enumerate(vocabulary):
        own = pieces.get(word)
        inside = [own] if own is not None else encoder.tokenizer.encode(
            word.removeprefix(INSIDE), add_special_tokens=False
        ).ids  # fmt: skip
        ids.append([begin, *inside, end])
        by_length[len(ids[-1])].append(number)
    found = np.zeros((len(vocabulary), encoder.network.config.dim), np.float32)
    done = 0
    for length, rows in sorted(by_length.items()):
        for first in range(0, len(rows), _BATCH):
            some = rows[first : first + _BATCH]
            mask = torch.ones(len(some), length, dtype=torch.bool)
            found[some] = encoder.network(torch.tensor([ids[row] for row in some]), mask).mean(1).numpy()
            done += len(some)
            progress("notes, word vectors", done, len(vocabulary))
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    found -= found.mean(0)
    found[[PAD, UNKNOWN]] = 0
    return found


def principal(vectors: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """(V, D) to (V, width): along the directions of most variance, scaled to a variance of 1 altogether a column."""
    _, vectors_of = np.linalg.eigh(np.cov(vectors.T))
    chosen = vectors_of[:, ::-1][:, :width]
    # The sign of an eigenvector is arbitrary: the largest coefficient is made positive, so that runs agree.
    chosen = chosen * np.sign(chosen[np.abs(chosen).argmax(0), np.arange(chosen.shape[1])])
    made = vectors @ chosen
    return np.asarray(made / made.std(), np.float32)
