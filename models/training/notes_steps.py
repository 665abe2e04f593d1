"""The steps of training the notes network, and what they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.bert import Encoder
from models.notes import EMBEDDING, NotesConfig, NotesEncoder
from models.tokens import NoteTokenizer
from models.training import attention, linear
from models.training.attention import AttentionPlan, Task
from models.training.metrics import auprc
from models.training.note_texts import NoteSet, SectionSet, encode, section_logits
from models.training.outcome import Progress
from models.training.split import Part, rows_of
from models.training.words import principal, word_vectors

_FOLDS: Final = 5
_INPUT_SCALE: Final = 0.3


class TooFewNotesError(ValueError):
    """No specialty has enough notes to be learned."""


@dataclass(frozen=True, slots=True)
class NotesPlan:
    """How to train.

    Attributes:
        labels: Most specialties, the most frequent ones of the training part.
        least: Notes of the training part that a specialty must have.
        strength: Of the bags' fit to specialties and to sections (C of scikit-learn).
        scales: Weights of the encoder's word vectors beside the words, for specialties and for sections: a bag is
            fitted at each, and their mean is kept, which is one bag again.
        attention: Of the attention blocks.
        seed: Of weights, order and windows.
    """

    labels: int = EMBEDDING
    least: int = 8
    strength: tuple[float, float] = (20.0, 10.0)
    scales: tuple[tuple[float, ...], tuple[float, ...]] = ((0.15, 0.25, 0.4), (0.5,))
    attention: AttentionPlan = field(default_factory=AttentionPlan)
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """Logits of texts that their bag did not see, with the truth: for calibration, conformal sets and thresholds."""

    logits: NDArray[np.float32]
    truth: NDArray[np.float32]


def _one_hot(names: Sequence[Sequence[str]], labels: Sequence[str]) -> NDArray[np.float32]:
    return np.array([[label in of for label in labels] for of in names], np.float32)


def _frequent(names: Sequence[Sequence[str]], most: int, least: int) -> tuple[str, ...]:
    each, counts = np.unique([name for of in names for name in set(of)], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:most]
    return tuple(each[order[counts[order] >= least]].tolist())


def _fit_bag(
    texts: linear.Texts, label: Tensor, strength: float, scales: Sequence[float], fold: NDArray[np.int64]
) -> tuple[linear.Linear, Tensor]:
    """The mean of the solutions over all texts, and of the logits that solutions without a text give it."""
    weight, found, without = linear.balanced(label), [], []
    for scale in scales:
        likeness = texts.likeness(scale)
        found.append(texts.fold(*linear.solve(likeness, label, weight, strength), scale))
        without.append(linear.out_of_fold(likeness, label, weight, strength, fold))
    return linear.mean(found), torch.stack(without).mean(0)


class Steps:
    """One run: what its steps share.

    Args:
        notes: All notes.
        sections: All sections; None: that task is left out.
        encoder: For word vectors; None: words are all there is.
        plan: How.
        progress: Told each step.
    """

    def __init__(
        self, notes: NoteSet, sections: SectionSet | None, encoder: Encoder | None, plan: NotesPlan, progress: Progress
    ) -> None:
        self.notes, self.said, self.plan, self.progress = notes, sections, plan, progress
        self.rows = rows_of(notes.note_id)
        self.section_rows = rows_of(sections.section_id if sections else ())
        training = self.rows["training"]
        self.labels = _frequent([notes.specialties[i] for i in training], plan.labels, plan.least)
        if not self.labels:
            raise TooFewNotesError(
                f"no specialty stands above {plan.least} notes of the training part: too few to learn from"
            )
        self.headers = tuple(sorted({sections.header[i] for i in self.section_rows["training"]})) if sections else ()
        self.truth = _one_hot(notes.specialties, self.labels)
        self.header_truth = _one_hot([(name,) for name in sections.header], self.headers) if sections else None
        self.about = [notes.about[i] if notes.about else "" for i in training]
        spoken, written = self.section_texts("training")
        read = [*(notes.texts[i] for i in training), *self.about, *spoken, *written]
        pieces = None
        self.encoder_sha256 = None if encoder is None else encoder.sha256
        if encoder is not None:
            known = sorted(encoder.tokenizer.get_vocab().items(), key=lambda one: int(one[1]))
            pieces = [piece for piece, _ in known if not piece.startswith("[")]
        self.tokenizer = NoteTokenizer.build(read, pieces=pieces)
        vocabulary = self.tokenizer.vocabulary()
        self.vectors = None if encoder is None else word_vectors(vocabulary, encoder, progress)
        self.network = NotesEncoder(NotesConfig(len(vocabulary), len(self.labels), len(self.headers)))

    def section_texts(self, part: Part) -> tuple[list[str], list[str]]:
        """Spoken and written sections of a part."""
        if self.said is None:
            return [], []
        rows = self.section_rows[part]
        return [self.said.spoken[i] for i in rows], [self.said.written[i] for i in rows]

    def _scales(self, task: int) -> tuple[float, ...]:
        """Those of the plan; without vectors one does, for all would be alike."""
        return self.plan.scales[task] if self.vectors is not None else self.plan.scales[task][:1]

    def specialties(self) -> Task:
        """Solve the bag of the specialties and put it into the network."""
        net, training = self.network, self.rows["training"]
        own = [self.notes.texts[i] for i in training]
        described = [row for row, text in enumerate(self.about) if text.strip()]
        texts = linear.Texts(
            [*own, *(self.about[row] for row in described)], self.tokenizer, net.config.max_tokens, self.vectors,
            len(own),
        )  # fmt: skip
        order = np.concatenate([np.arange(len(own)), np.array(described, np.int64)])
        label = torch.from_numpy(self.truth[training])
        found, without = _fit_bag(texts, label[order], self.plan.strength[0], self._scales(0), order % _FOLDS)
        left, sizes, right = torch.linalg.svd(found.table, full_matrices=False)
        with torch.no_grad():
            width = len(sizes)  # at most one direction a label, and no more labels than the embedding is wide
            net.bag.rarity.copy_(texts.rarity)
            net.bag.table.weight.zero_()
            net.bag.table.weight[:, :width] = left * sizes
            net.head.weight.zero_()
            net.head.weight[:, :width] = right.T
            net.head.bias.copy_(found.bias)
        net.writing.learn(self.tokenizer.vocabulary(), texts.rarity)
        return Task(self.tokenizer.encode(own, net.config.max_tokens), label, without[: len(own)])

    def sections(self) -> Task | None:
        """Solve the bag of the section headers and put it into the network."""
        net = self.network
        if self.header_truth is None or net.section_bag is None or net.section_head is None:
            return None
        spoken, written = self.section_texts("training")
        both = [*spoken, *written]
        texts = linear.Texts(both, self.tokenizer, net.config.max_tokens, self.vectors, len(both))
        label = torch.from_numpy(self.header_truth[self.section_rows["training"]]).repeat(2, 1)
        fold = np.tile(np.arange(len(spoken)) % _FOLDS, 2)
        found, without = _fit_bag(texts, label, self.plan.strength[1], self._scales(1), fold)
        with torch.no_grad():
            net.section_bag.rarity.copy_(texts.rarity)
            net.section_bag.table.weight.copy_(found.table)
            net.section_head.weight.zero_()
            net.section_head.bias.copy_(found.bias)
        return Task(self.tokenizer.encode(both, net.config.max_tokens), label, without)

    def attention(self, notes: Task, sections: Task | None) -> attention.History:
        """Train the blocks on what is left."""
        net = self.network
        learning: list[Tensor] = [
            net.positions,
            *net.blocks.parameters(),
            *net.norm.parameters(),
            *net.pool.parameters(),
        ]
        learning += [net.project.weight, *([net.section_head.weight] if net.section_head is not None else [])]
        with torch.no_grad():
            net.project.weight.zero_()  # so that training begins where the bags are
            if self.vectors is None:
                learning.append(net.tokens.weight)
            else:
                net.tokens.weight.copy_(torch.from_numpy(_INPUT_SCALE * principal(self.vectors, net.config.dim)))
        plan = replace(self.plan.attention, seed=self.plan.seed)
        return attention.fit(net, learning, notes, sections, plan, self._judge, self.progress)

    def _judge(self, network: NotesEncoder) -> dict[str, float]:
        rows = self.rows["validation"]
        logits = encode(network, self.tokenizer, [self.notes.texts[i] for i in rows]).logits.numpy().astype(float)
        truth, ones = self.truth[rows].astype(float), np.ones(len(rows))
        seen = np.flatnonzero(truth.any(0))
        found = {"validation_macro_auprc": float(np.mean([auprc(truth[:, k], logits[:, k], ones) for k in seen]))}
        if self.header_truth is not None:
            spoken, written = self.section_texts("validation")
            said = section_logits(network, self.tokenizer, [*spoken, *written]).argmax(1)
            real = np.tile(self.header_truth[self.section_rows["validation"]].argmax(1), 2)
            found["validation_section_accuracy"] = float((said == real).mean())
        return found

    def held(self, notes: Task) -> Held:
        """Training texts as the bags without them saw them, and the validation part as the network sees it."""
        rows = self.rows["validation"]
        logits = encode(self.network, self.tokenizer, [self.notes.texts[i] for i in rows]).logits.numpy()
        own = self.truth[self.rows["training"]]
        return Held(np.concatenate([notes.offset.numpy(), logits]), np.concatenate([own, self.truth[rows]]))
