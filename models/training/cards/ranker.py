"""About the ranker."""

from __future__ import annotations

from typing import Final

from models.training.cards.about import DIABETES_130, PHYSIONET_2019, About

_SILENT_RULES: Final = (
    "Actions whose rules need flags, oxygen, consciousness, films or a model's risk: the data have none of these, so "
    "such actions were never (`never_indicated_in_training`) or rarely indicated, nothing or little was learned of "
    "them, and within an urgency they tend to come last. That is absence of data, not low importance: antibiotics and "
    "blood cultures are among them."
)
_ANOTHER_QUESTION: Final = (
    "Judging the order shown live: the figures are about foreseeing indications that are not there yet, while the "
    "live score orders those that are, and leaves out how common an action is: it shows by how much this patient "
    "departs from the usual."
)
_DRUGS: Final = (
    "Recommending drugs. `drugs.safetensors` serves to measure the same recommenders on choices that clinicians made; "
    "no worker uses it. It imitates prescribing of 1999 to 2008 in patients with diabetes, some of it obsolete or "
    "withdrawn since, and knows nothing of kidneys, allergies or what did patients good."
)
_WHO_ANSWERS: Final = (
    "Saying what is right from what is accepted: answers are given to what was shown first, by whoever had the time, "
    "and show a ward's habits. Answers are no label of any risk, and no model of risk learns from them."
)
_NEAR_CEILING: Final = (
    "Showing that recommenders beat popularity by much where popularity is near its ceiling. Of 23 drugs insulin is "
    "first for nearly everybody, and popularity alone puts most of what was changed among its first five: `best "
    "possible` over `popularity` there is below the 1.2 that was aimed at, so no method can reach it. Boosted trees on "
    "the same columns and more got no further (recall@5 on validation patients 0.939; collaborative part alone 0.940)."
)

ABOUT: Final = About(
    what="Learned scores beside the rules: collaborative filtering (matrix factorisation) over the actions indicated "
    "at a patient's last event, content filtering (ridge regression) over the present readings, and their weighted "
    "sum. Rules alone decide which actions are "
    "listed and how urgent they are; these scores order actions within one urgency. Not validated: nobody has shown "
    "that this order helps.",
    data=(PHYSIONET_2019, DIABETES_130),
    made="INTERACTIONS ARE RULE INDICATIONS, NOT CHOICES. The hourly rows of intensive-care stays were replayed "
    "through the catalogue's own rules (values carried forward and aged out, NEWS2, qSOFA, shock index). What was "
    "learned is which indications go and follow together, not what clinicians did, nor what did patients good. A "
    "version that `wardstream learn` made has then learned from clinicians' answers too; `config` says from how many, "
    "and which version it came from.",
    split="By patient (SHA-256 of the identifier): 68 % training, 12 % validation (choice of the hyperparameters), "
    "20 % held out.",
    figures="recall@k: of what came next, the share among the k best scored; ndcg@k: how early. Mean over the rows "
    "after which anything came, value (95 % interval, bootstrap over patients). Care actions, in the first table: at "
    "sampled hours, what was newly indicated within the horizon, and neither at the hour nor at the event before. "
    "Drugs: which of 23 drugs were raised, lowered or newly given at a patient's next encounter; new drugs alone; "
    "drugs other than insulin; and cold starts, at the first encounter, where only raised and lowered doses can be "
    "told. `popularity` is how often each came next in training, the same for everybody with (or without) a history; "
    "`popularity by possession` knows besides whether the patient had the item; `item-kNN` adds up cosines to what "
    "the patient had. `over` is the ratio of means. `best possible` is the order that knows what came: the room there "
    "is. Of a version that learned from answers, the rows `answers, ...` are of held-out patients' answers, before "
    "and after: `auroc`, the chance that an action answered as relevant has the higher learned score than one that was "
    "not; `above`, the same within one list and one urgency, where the score decides.",
    calibration="None: its scores are no probabilities. The weights of the content and the collaborative part were "
    "chosen on validation; the weights of rule and risk, and `add_at_risk`, are policy and were not fitted, as "
    "are those of the guideline part and of diversity: the penalty is the largest tried that cost less than 0.005 of "
    "recall@5 of what lasts, on validation patients.",
    limits=(
        "Evidence that an action is right: the target is the rules' own next output.",
        _ANOTHER_QUESTION,
        _WHO_ANSWERS,
        "Wards, children and other places: only adults in intensive care of one hospital system in the United States.",
        _SILENT_RULES,
        _DRUGS,
        _NEAR_CEILING,
    ),
    answers={
        3: "An order of the care actions that the rules indicate, within each urgency, and how much each part "
        "contributed to a score.",
        4: "Recommendation.",
        6: "Adults in intensive care.",
        11: "Stays of the sepsis challenge with at least one hour after which an action is newly indicated.",
        12: "Of the ranker none of these is an input: the present readings and the actions indicated before are. The "
        "recommenders of drugs, which no worker uses, read age and sex.",
        13: "Age and sex are as in the published sets. Everything else was not looked at.",
        14: "Indications replayed over intensive-care hours; a ward measures less and is indicated other actions.",
        22: "Not measured for care actions. `wardstream evaluate ranker` gives figures of drugs by age and sex.",
    },
)
