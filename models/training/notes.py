"""Train the notes network: the specialties of a note, several at once, and the header over a section.

The bags of words are solved first, as convex problems; then the attention blocks learn what the bags leave unexplained
(`models.training.attention`). With a pretrained encoder, the bags also see the vectors that it has for the words:
once for each weight of the vectors beside the words, and the mean of these bags is kept.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

import numpy as np
import torch
from torch import Tensor

from models.bert import Encoder
from models.calibration import IDENTITY, calibrated_logits, probabilities
from models.conformal import fit_yes_no, limits
from models.notes import NotesEncoder
from models.tokens import FILE, NoteTokenizer
from models.training import calibrate, notes_novelty
from models.training.metrics import Draws, report
from models.training.note_texts import NoteSet, SectionSet, encode, section_logits
from models.training.notes_figures import Organs, best_threshold, one_of, prediction_sets, several
from models.training.notes_steps import Held, NotesPlan, Steps
from models.training.outcome import Progress, Trained, silent
from models.training.split import PARTS
from models.weights import Manifest, Thresholds

_TABLES: Final = ("bag.table.weight", "section_bag.table.weight", "tokens.weight")
"""Nearly all of the weights."""


@torch.no_grad()
def _halved(network: NotesEncoder) -> dict[str, Tensor]:
    """The state with tables in half precision; the network is rounded likewise, so that it gives what will ship."""
    state = network.state_dict()
    for name in _TABLES:
        if name in state:
            half = state[name].half()
            state[name].copy_(half)
            state[name] = half
    return state


def train_notes(
    notes: NoteSet, plan: NotesPlan, *, sections: SectionSet | None = None, encoder: Encoder | None = None,
    organs: Organs | None = None, progress: Progress = silent,
) -> tuple[Trained, NoteTokenizer]:  # fmt: skip
    """Make the tokenizer, train the network, calibrate and measure.

    Args:
        notes: With their specialties.
        plan: How.
        sections: With their headers; None: no second task.
        encoder: A pretrained encoder whose vectors of words are used; None: none are.
        organs: Which specialties are judged as one class of several; None: that figure is left out.
        progress: Told each step.

    Returns:
        The network with its held-out figures, and the tokenizer; both saw the training part only.
    """
    torch.manual_seed(plan.seed)
    run = Steps(notes, sections, encoder, plan, progress)
    of_notes, of_sections = run.specialties(), run.sections()
    history = run.attention(of_notes, of_sections)
    state = _halved(run.network)
    ordinary = [[notes.texts[i] for i in run.rows[part]] + run.section_texts(part)[1] for part in PARTS[:2]]
    notes_novelty.fit(run.network, run.tokenizer, ordinary[0], ordinary[1], plan.seed)
    state |= {name: one for name, one in run.network.state_dict().items() if name.startswith(("novelty.", "writing."))}
    held = _calibrated(run.network, run.held(of_notes))
    state |= {name: one for name, one in run.network.state_dict().items() if name.startswith("head.")}
    manifest = _manifest(run, held)
    metrics = _figures(run, manifest, organs)
    return Trained(state, manifest.model_copy(update={"metrics": metrics}), history), run.tokenizer


@torch.no_grad()
def _calibrated(network: NotesEncoder, held: Held) -> Held:
    """Put the temperature and bias of each label into the head, and tell what it says then of the held-back texts.

    So the label of the highest logit is that of the highest probability, and the shares of words are of its log odds.
    """
    logits = held.logits.copy()
    for k in range(logits.shape[1]):
        found = calibrate.fit(held.logits[:, k], held.truth[:, k])
        network.head.weight[k] /= found.temperature
        network.head.bias[k] = network.head.bias[k] / found.temperature + found.bias
        logits[:, k] = logits[:, k] / found.temperature + found.bias
    return Held(logits, held.truth)


def _manifest(run: Steps, held: Held) -> Manifest:
    """Everything but the figures."""
    calibration = dict.fromkeys(run.labels, IDENTITY)
    each = probabilities(held.logits)
    conformal = {name: fit_yes_no(each[:, k], held.truth[:, k]) for k, name in enumerate(run.labels)}
    high = [best_threshold(held.truth[:, k].astype(float), each[:, k].astype(float)) for k in range(len(run.labels))]
    return Manifest(
        name="notes", trained=True, config=asdict(run.network.config), labels=run.labels,
        input={
            "tokenizer": FILE, "max_tokens": run.network.config.max_tokens, "language": "English",
            "sections": list(run.headers), "encoder_sha256": run.encoder_sha256,
        },
        calibration=calibration, conformal=conformal,
        thresholds={
            name: Thresholds(medium=one / 2, high=one) for name, one in zip(run.labels, high, strict=True)
        },
        notes="Independent labels: a logistic function each; its calibration is part of the weights. A label counts as "
        "said from `high` of its thresholds. The vocabulary holds words and pieces of words, no text.",
    )  # fmt: skip


def _figures(run: Steps, manifest: Manifest, organs: Organs | None) -> dict[str, object]:
    rows = run.rows["test"]
    who = [run.notes.note_id[i] for i in rows]
    out = encode(run.network, run.tokenizer, [run.notes.texts[i] for i in rows])
    probability = probabilities(calibrated_logits(out.logits.numpy(), run.labels, manifest.calibration)).astype(float)
    truth = run.truth[rows].astype(float)
    least = np.array([manifest.thresholds[name].high for name in run.labels])
    spread = np.repeat(np.array(who), len(run.labels)).tolist()
    found: dict[str, object] = {
        "all_labels": report(truth.ravel(), probability.ravel(), spread),
        "several_labels": several(truth, probability, least, who),
        "prediction_sets": prediction_sets(truth, probability, limits(run.labels, manifest.conformal), who),
        "flagged_as_foreign": round(float((out.novelty > 1).float().mean()), 4),
    }
    if organs is not None:
        single, number = organs.single([run.notes.specialties[i] for i in rows])
        if len(single):
            said = organs.chosen(probability[single], run.labels)
            found["single_organ"] = one_of(number, said, Draws([who[i] for i in single]), organs.classes)
    if run.said is not None and run.header_truth is not None:
        who = [run.said.section_id[i] for i in run.section_rows["test"]]
        number = np.array(
            [
                run.headers.index(h) if h in run.headers else len(run.headers)
                for h in (run.said.header[i] for i in run.section_rows["test"])
            ]
        )
        for name, texts in zip(("spoken", "written"), run.section_texts("test"), strict=True):
            said = section_logits(run.network, run.tokenizer, texts).argmax(1)
            found[f"section_header_from_{name}"] = one_of(number, said, Draws(who), (*run.headers, "unseen"))
    return found
