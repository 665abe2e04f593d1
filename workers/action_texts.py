"""What results say of each care action whoever the patient is, spelt out once and shared."""

from __future__ import annotations

from typing import Final

from models.clinical.actions import Action, Catalogue
from models.clinical.truth import FALSE, UNKNOWN
from models.recommend.ranker import PARTS
from workers.holds import Kind
from workers.json_text import SLOT, template, text

_ANSWERED: Final = {
    Kind.DONE: "answered: already done",
    Kind.DECLINED: "answered: does not apply, or declined, in this encounter",
    Kind.BLOCKED: "answered: contraindicated in this encounter",
}


class ActionTexts:
    """Texts of the catalogue's actions.

    Attributes:
        actions: Of the catalogue.
        listed: Templates of a recommendation, two for each action: its contraindications are known not to hold, and
            they are not known. Slots: rank, score, the parts of the score, floor.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.actions: Final = catalogue.actions
        self.listed: Final = [_listed(action, known) for action in catalogue.actions for known in (FALSE, UNKNOWN)]
        self._contraindicated: Final = [
            _withheld(action, "contraindicated: " + "; ".join(action.contraindications)) for action in catalogue.actions
        ]
        self._answered: Final = {
            kind: [_withheld(action, why) for action in catalogue.actions] for kind, why in _ANSWERED.items()
        }

    def withheld(self, action: int, kind: Kind) -> str:
        """Why an action is withheld: a clinician's answer, or else a contraindication of its rule."""
        return (self._contraindicated if kind is Kind.NONE else self._answered[kind])[action]


def _listed(action: Action, contraindicated: int) -> str:
    return template(
        {
            "action_id": action.id,
            "text": action.text,
            "category": action.category,
            "urgency": action.urgency,
            "role": action.role,
            "codes": [{"system": c["system"], "code": c["code"], "display": c["display"]} for c in action.codes],
            "rank": SLOT,
            "score": SLOT,
            "contributions": dict.fromkeys(PARTS, SLOT),
            "cautions": list(action.cautions_for(contraindicated)),
            "floor": SLOT,
        }
    )


def _withheld(action: Action, reason: str) -> str:
    return text({"action_id": action.id, "reason": reason})
