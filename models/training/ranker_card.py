"""The card of the ranker: what it learned from, how it did on held-out patients, what that does not show.

Every figure comes from the manifest that the same fit wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from models.training.card import ABOUT
from models.weights import Manifest

DATA: Final = ABOUT["vitals"].data[:1]
"""PhysioNet 2019, with licence and citation."""

_WHAT: Final = (
    "Learned scores beside the rules: collaborative filtering over the actions indicated at a patient's last event, "
    "content filtering over the present readings, and their weighted sum. Rules alone decide which actions are listed "
    "and how urgent they are; these scores order actions within one urgency."
)
_COMMON: Final = (
    "Decision support for research, not a certified device. Not validated: nobody has shown that this order helps. "
    "Never the only ground for treating or not treating."
)
_MADE: Final = (
    "INTERACTIONS ARE RULE INDICATIONS, NOT CHOICES. The hourly rows of intensive-care stays were replayed through the "
    "catalogue's own rules (values carried forward and aged out, NEWS2, qSOFA, shock index). What was learned is which "
    "indications go and follow together, not what clinicians did, nor what did patients good. A later version is to "
    "learn from feedback."
)
_FOR_FIRST_EVENTS: Final = (
    "Weighing the content part by these figures: compare `collaborative` and `hybrid`. It is kept because a patient's "
    "first event has no history, and there the collaborative part is always 0."
)
_SILENT_RULES: Final = (
    "Actions whose rules need flags, oxygen, consciousness, films or a model's risk: the data have none of these, so "
    "such actions were never (`never_indicated_in_training`) or rarely indicated, nothing or little was learned of "
    "them, and within an urgency they tend to come last. That is absence of data, not low importance: antibiotics and "
    "blood cultures are among them."
)
_ANOTHER_QUESTION: Final = (
    "Judging the order shown live: the figures are about foreseeing indications that are not there yet, while the "
    "live score orders those that are."
)
_LIMITS: Final = (
    "Evidence that an action is right: the target is the rules' own next output.",
    _ANOTHER_QUESTION,
    "Wards, children and other places: only adults in intensive care of one hospital system in the United States.",
    _SILENT_RULES,
    _FOR_FIRST_EVENTS,
)
_SPLIT: Final = (
    "By patient (SHA-256 of the identifier): 68 % training, 12 % validation (choice of the hyperparameters), 20 % held "
    "out."
)
_FIGURES: Final = (
    "At sampled hours: of the actions newly indicated within the next {horizon} h, and indicated neither at the hour "
    "nor at the event before, how many are among the five best scored, and how early. Mean over hours after which "
    "anything new was indicated (95 % interval, bootstrap over patients). `popularity` gives every patient the same "
    "order: how often each action came next in training where it was not indicated."
)


def _cell(value: Any) -> str:
    return f"{value[0]} ({value[1]} to {value[2]})" if isinstance(value, list) else str(value)


def _table(metrics: Mapping[str, Any]) -> list[str]:
    """One line a method, then what is no method."""
    methods = {name: row for name, row in metrics.items() if isinstance(row, Mapping)}
    columns = list(next(iter(methods.values()), {}))
    lines = [f"| method | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {name} | {' | '.join(_cell(row[each]) for each in columns)} |" for name, row in methods.items()]
    return [*lines, "", *(f"- `{name}`: {value}" for name, value in metrics.items() if name not in methods)]


def card(manifest: Manifest) -> str:
    """CARD.md of a fitted ranker, from its manifest as saved."""
    config = ", ".join(f"{name} {value}" for name, value in manifest.config.items() if not isinstance(value, dict))
    weights = ", ".join(f"{name} {value}" for name, value in manifest.config["weights"].items())
    return "\n".join(
        [
            f"# {manifest.name} {manifest.version}", "", _WHAT, "", _COMMON, "",
            "## Data", "", *(f"- {line}." for line in manifest.data), "", _MADE, "",
            f"Weights: {manifest.licence}. SHA-256 `{manifest.sha256}`.", "",
            "## Split", "",
            _SPLIT, "",
            "## Held-out figures", "",
            _FIGURES.format(horizon=manifest.horizon_h["next"]), "",
            *_table(manifest.metrics), "",
            "## Chosen on validation", "", f"- {config}", f"- weights of the parts: {weights}", "",
            "The weights of rule and risk, and `add_at_risk`, are policy and were not fitted.", "",
            "## Not for", "", *(f"- {line}" for line in _LIMITS), "",
            "Made by `wardstream train`.", "",
        ]
    )  # fmt: skip
