"""About the ranker."""

from __future__ import annotations

from typing import Final

from models.training.cards.about import PHYSIONET_2019, About

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

ABOUT: Final = About(
    what="Learned scores beside the rules: collaborative filtering over the actions indicated at a patient's last "
    "event, content filtering over the present readings, and their weighted sum. Rules alone decide which actions are "
    "listed and how urgent they are; these scores order actions within one urgency. Not validated: nobody has shown "
    "that this order helps.",
    data=(PHYSIONET_2019,),
    made="INTERACTIONS ARE RULE INDICATIONS, NOT CHOICES. The hourly rows of intensive-care stays were replayed "
    "through the catalogue's own rules (values carried forward and aged out, NEWS2, qSOFA, shock index). What was "
    "learned is which indications go and follow together, not what clinicians did, nor what did patients good. A later "
    "version is to learn from feedback.",
    split="By patient (SHA-256 of the identifier): 68 % training, 12 % validation (choice of the hyperparameters), "
    "20 % held out.",
    figures="At sampled hours: of the actions newly indicated within the horizon, and indicated neither at the hour "
    "nor at the event before, how many are among the five best scored, and how early. Mean over hours after which "
    "anything new was indicated (95 % interval, bootstrap over patients). `popularity` gives every patient the same "
    "order: how often each action came next in training where it was not indicated.",
    calibration="None: its scores are no probabilities. The weights of the content and the collaborative part were "
    "chosen on validation; the weights of rule and risk, and `add_at_risk`, are policy and were not fitted.",
    limits=(
        "Evidence that an action is right: the target is the rules' own next output.",
        _ANOTHER_QUESTION,
        "Wards, children and other places: only adults in intensive care of one hospital system in the United States.",
        _SILENT_RULES,
        _FOR_FIRST_EVENTS,
    ),
    answers={
        3: "An order of the care actions that the rules indicate, within each urgency, and how much each part "
        "contributed to a score.",
        4: "Recommendation.",
        6: "Adults in intensive care.",
        11: "Stays of the sepsis challenge with at least one hour after which an action is newly indicated.",
        12: "None of these is an input: the present readings and the actions indicated before are.",
        13: "Age and sex are as in the published set. Everything else is not known.",
        14: "Indications replayed over intensive-care hours; a ward measures less and is indicated other actions.",
        22: "Not measured.",
    },
)
