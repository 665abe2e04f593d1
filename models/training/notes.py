"""Train the notes network: which specialties a note belongs to, several at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from models.calibration import Calibration, probabilities
from models.notes import NotesConfig, NotesEncoder, NotesOut
from models.tokens import NoteTokenizer, Tokens
from models.training import calibrate
from models.training.metrics import auprc, auroc, report, rounded
from models.training.outcome import Progress, Trained, silent
from models.training.split import rows_of
from models.weights import Manifest, Thresholds


@dataclass(frozen=True, slots=True)
class NotesPlan:
    """How to train.

    Attributes:
        epochs: Passes.
        rate: Peak learning rate (AdamW, one cycle).
        batch: Notes a batch.
        window: Tokens of a note seen at a time in training, from a random place; longer notes are cut.
        labels: Number of specialties, the most frequent ones of the training part.
        vocabulary: Most subwords.
        seed: Of weights, order and windows.
    """

    epochs: int = 24
    rate: float = 3e-3
    batch: int = 32
    window: int = 160
    labels: int = 20
    vocabulary: int = 5000
    seed: int = 0


def _window(tokens: Tokens, rows: NDArray[np.int64], width: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
    """A random stretch of each note, the beginning half of the time; one token in ten hidden."""
    lengths = tokens.mask[rows].sum(1)
    start = random.integers(0, np.maximum(lengths - width, 0) + 1) * (random.random(len(rows)) < 0.5)
    place = start[:, None] + np.arange(width)
    inside = place < lengths[:, None]
    ids = np.take_along_axis(tokens.ids[rows], np.minimum(place, tokens.ids.shape[1] - 1), 1)
    inside &= random.random(inside.shape) > 0.1
    return torch.from_numpy(ids), torch.from_numpy(inside)


def _fit(network: NotesEncoder, tokens: Tokens, label: Tensor, plan: NotesPlan, progress: Progress) -> None:
    random = np.random.default_rng(plan.seed)
    steps = len(label) // plan.batch
    optimiser = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.rate, total_steps=plan.epochs * steps + 1)
    network.train()
    for epoch in range(plan.epochs):
        order = random.permutation(len(label))
        for step in range(steps):
            rows = order[step * plan.batch : (step + 1) * plan.batch]
            out = network(*_window(tokens, rows, plan.window, random))
            loss = F.binary_cross_entropy_with_logits(out.logits, label[rows])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            progress(f"notes, epoch {epoch + 1}", epoch * steps + step + 1, plan.epochs * steps)


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


def _figures(
    truth: NDArray[np.float32], probability: NDArray[np.float32], labels: Sequence[str], who: list[str]
) -> dict[str, object]:
    ones, pair = np.ones(len(truth)), (auroc, auprc)
    each = {
        label: [rounded(metric(truth[:, i].astype(float), probability[:, i].astype(float), ones)) for metric in pair]
        for i, label in enumerate(labels)
    }
    spread = np.repeat(np.array(who), len(labels)).tolist()
    return {
        "all_labels": report(truth.ravel().astype(float), probability.ravel().astype(float), spread),
        "macro_auroc": round(float(np.mean([one[0] for one in each.values() if one[0] is not None])), 4),
        "macro_auprc": round(float(np.mean([one[1] for one in each.values() if one[1] is not None])), 4),
        "top_label_right": round(float(truth[np.arange(len(truth)), probability.argmax(1)].mean()), 4),
        "each_label_auroc_auprc": each,
    }


def train_notes(
    texts: Sequence[str],
    specialties: Sequence[Sequence[str]],
    note_id: Sequence[str],
    plan: NotesPlan,
    progress: Progress = silent,
) -> tuple[Trained, NoteTokenizer]:
    """Train tokenizer and network, calibrate and measure.

    Args:
        texts: N notes.
        specialties: Of each note, one or more.
        note_id: Of each note.
        plan: How.
        progress: Told each step.

    Returns:
        The network with its held-out figures, and the tokenizer; both saw the training part only.
    """
    torch.manual_seed(plan.seed)
    parts = rows_of(note_id)
    training = parts["training"]
    names, counts = np.unique([name for i in training for name in set(specialties[i])], return_counts=True)
    labels = tuple(names[np.argsort(-counts, kind="stable")][: plan.labels].tolist())
    truth = np.array([[name in of for name in labels] for of in specialties], np.float32)
    tokenizer = NoteTokenizer.train([texts[i] for i in training], plan.vocabulary)
    network = NotesEncoder(NotesConfig(len(tokenizer), len(labels)))
    tokens = tokenizer.encode([texts[i] for i in training], 4 * network.config.max_tokens)
    _fit(network, tokens, torch.from_numpy(truth[training]), plan, progress)
    network.eval()

    def run(part: NDArray[np.int64]) -> NotesOut:
        return encode(network, tokenizer, [texts[i] for i in part])

    held, test = run(parts["validation"]), run(parts["test"])
    network.novelty.fit(run(training).embedding, held.embedding)
    pooled = calibrate.fit(held.logits.numpy().ravel(), truth[parts["validation"]].ravel())
    probability = probabilities((test.logits.numpy() / pooled.temperature + pooled.bias).astype(np.float32))
    calibration: dict[str, Calibration] = dict.fromkeys(labels, pooled)
    metrics = _figures(truth[parts["test"]], probability, labels, [note_id[i] for i in parts["test"]])
    manifest = Manifest(
        name="notes", trained=True, config=asdict(network.config), labels=labels, metrics=metrics,
        input={"tokenizer": "tokenizer.json", "max_tokens": network.config.max_tokens, "language": "English"},
        calibration=calibration, thresholds=dict.fromkeys(labels, Thresholds(medium=0.3, high=0.6)),
        notes="Independent labels: a logistic function each, after the calibration.",
    )  # fmt: skip
    return Trained(network.state_dict(), manifest), tokenizer
