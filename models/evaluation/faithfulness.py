"""Whether an explanation names what the score rests on: take that away, and as much at random, and compare.

An explanation that only decorates does no better than chance. Maps of films have a test of their own kind in
`models.evaluation.map_deletion`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.evaluation.figures import Summary
from models.notes import NotesEncoder
from models.tokens import NoteTokenizer
from models.training.metrics import Draws
from models.training.sequences import Events, batches
from models.vitals import VitalsEncoder

COLUMNS: Final = 3
"""Columns of an event that are taken away: about as many as a reader takes in."""
TOKENS: Final = 10
"""Tokens of a note that are taken away: as many as the spans of a result are made of."""
_Found = tuple[Tensor, Tensor, NDArray[np.str_]]
_BATCH: Final = 128
_NOTES: Final = 32


@dataclass(frozen=True, slots=True)
class Moves:
    """How far scores moved; N records.

    Attributes:
        top: (N,) after what the explanation ranks highest was taken away.
        random: (N,) after as much was taken away at random.
        group: (N,) whose record.
    """

    top: NDArray[np.float64]
    random: NDArray[np.float64]
    group: NDArray[np.str_]

    def summary(self, name: str, unit: str) -> Summary:
        """Means with intervals over whose records they are, the mean difference, and how often the top moved more."""
        if not len(self.top):
            return Summary(name, {"records": 0})
        draws = Draws(self.group.tolist())
        return Summary(
            name,
            {
                "records": len(self.top),
                f"{unit}, highest ranked": draws.mean(self.top),
                f"{unit}, at random": draws.mean(self.random),
                f"{unit}, difference": draws.mean(self.top - self.random),
                "share of records where the highest ranked count more": draws.mean(
                    (self.top > self.random).astype(np.float64)
                ),
            },
        )


@torch.inference_mode()
def vitals_moves(network: VitalsEncoder, stays: Sequence[Events], *, columns: int = COLUMNS, seed: int = 0) -> Moves:
    """One event a stay, by chance, with the strongest columns put to their reference, against known ones by chance.

    What moves is the sepsis logit, up or down. The reference is that of `VitalsEncoder.explain`: the column's median,
    unchanged, and measured as before.

    Args:
        network: In evaluation mode.
        stays: Stays with no event of more than `columns` known columns are left out.
        columns: How many.
        seed: Of the events and columns.
    """
    random = torch.Generator().manual_seed(seed)
    found: list[_Found] = []
    for batch in batches(stays, _BATCH):
        states, lengths = network(*batch.inputs), (~torch.isnan(batch.label)).sum(1)
        rows = torch.arange(len(states))
        at = (torch.rand(len(states), generator=random) * lengths).long()
        before = torch.where((at > 0)[:, None], states[rows, (at - 1).clamp(min=0)], network.initial(len(states)))
        values, carried, gap_h, static = (array[rows, at] for array in batch.inputs)
        who = np.array([stays[i].patient_id for i in batch.rows])
        found.append(_without_columns(network, (before, values, carried, gap_h, static), columns, random, who))
    return _together(found)


def _without_columns(
    network: VitalsEncoder, event: tuple[Tensor, ...], columns: int, random: torch.Generator, who: NDArray[np.str_]
) -> _Found:
    before, values, carried, gap_h, static = event
    after, parts = network.explain(before, values, carried, gap_h, static)
    logit, known = network.heads(after)[:, 0], parts != 0

    def moved(rank: Tensor) -> Tensor:
        away = torch.zeros_like(known).scatter_(1, rank.where(known, -1.0).topk(columns, 1).indices, value=True)
        now, last = (network.centre.where(away & ~torch.isnan(array), array) for array in (values, carried))
        return (network.heads(network.step(before, now, last, gap_h, static))[:, 0] - logit).abs()

    enough = known.sum(1) > columns
    top, chance = moved(parts.abs()), moved(torch.rand(parts.shape, generator=random))
    return top[enough], chance[enough], who[enough.numpy()]


@torch.inference_mode()
def note_moves(
    network: NotesEncoder, tokenizer: NoteTokenizer, texts: Sequence[str], note_id: Sequence[str], *,
    tokens: int = TOKENS, seed: int = 0,
) -> Moves:  # fmt: skip
    """The fall of a note's highest logit without its most salient tokens, against as many by chance.

    Args:
        network: In evaluation mode.
        tokenizer: Of the network.
        texts: Notes of no more than `tokens` tokens are left out.
        note_id: Of each note.
        tokens: How many.
        seed: Of the tokens taken by chance.
    """
    random = torch.Generator().manual_seed(seed)
    found: list[_Found] = []
    for first in range(0, len(texts), _NOTES):
        read = tokenizer.encode(texts[first : first + _NOTES], network.config.max_tokens)
        ids, mask = torch.from_numpy(read.ids), torch.from_numpy(read.mask)
        enough = mask.sum(1) > tokens
        if enough.any():
            who = np.array(note_id[first : first + _NOTES])[enough.numpy()]
            found.append((*_without_tokens(network, ids[enough], mask[enough], tokens, random), who))
    return _together(found)


def _without_tokens(
    network: NotesEncoder, ids: Tensor, mask: Tensor, tokens: int, random: torch.Generator
) -> tuple[Tensor, Tensor]:
    out = network(ids, mask)
    top, label = out.logits.max(1)

    def fall(rank: Tensor) -> Tensor:
        chosen = rank.masked_fill(~mask, -torch.inf).topk(tokens, 1).indices
        left = network(ids, mask.scatter(1, chosen, value=False)).logits
        fallen: Tensor = top - left.gather(1, label[:, None]).squeeze(1)
        return fallen

    return fall(out.saliency), fall(torch.rand(mask.shape, generator=random))


def _together(found: Sequence[_Found]) -> Moves:
    if not found:
        return Moves(np.empty(0), np.empty(0), np.empty(0, np.str_))
    top, chance = (torch.cat(parts).double().numpy() for parts in list(zip(*found, strict=True))[:2])
    return Moves(top, chance, np.concatenate([who for _, _, who in found]))
