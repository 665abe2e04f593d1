"""Why a recommendation was overridden: coded reasons, and what each of them does to later recommendations.

Decides vocabulary and effect; applying the effect is the worker's business.

Codes: HL7 terminology `non-adherence-reason-codes` as used by CDS Hooks 3.0.0-ballot (2026), from the AHRQ CDSiC
taxonomy. Effects are policy, not part of the code system.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

SYSTEM: Final = "http://terminology.hl7.org/CodeSystem/non-adherence-reason-codes"

Effect = Literal["none", "suppress_validity", "suppress_encounter", "block_encounter", "snooze", "reroute"]
"""What happens to the overridden action: nothing, not listed for its validity window or the encounter, blocked as
contraindicated, quiet for a while, or sent to somebody else."""


class OverrideReason(NamedTuple):
    """One coded reason.

    Attributes:
        display: Text shown to clinicians.
        effect: On the overridden action, for this patient.
        relevant: What it teaches a ranker: True relevant, False not relevant, None nothing.
    """

    display: str
    effect: Effect = "none"
    relevant: bool | None = None


OVERRIDE_REASONS: Final[dict[str, OverrideReason]] = {
    # The set that is offered to clinicians
    "cds-not-applicable": OverrideReason("PC CDS does not apply to patient", "suppress_encounter", relevant=False),
    "cds-suboptimal-context": OverrideReason("PC CDS delivered in suboptimal context"),
    "recipient-disagrees-evidence": OverrideReason(
        "Recipient disagrees with recommendation because of issues with the evidence"
    ),
    "recipient-concerns-outcomes": OverrideReason("Recipient has concerns regarding potential health outcomes"),
    "does-not-align-preferences": OverrideReason("Recommendation does not align with patient preferences or values"),
    "not-convenient-feasible": OverrideReason("Recommendation is not convenient or feasible"),
    "action-completed": OverrideReason("Recommended action was already completed", "suppress_validity", relevant=True),
    "patient-contraindication": OverrideReason("Patient has contraindication to recommended action", "block_encounter"),
    "patient-refuses": OverrideReason("Patient refuses/declines (no context given)", "suppress_encounter"),
    "too-costly-uncovered": OverrideReason("Recommended action is too costly or not covered by insurance"),
    "service-not-available": OverrideReason("Treatment or service is not practically available"),
    "recipient-does-not-understand": OverrideReason(
        "Recipient does not understand the recommended action or know how to perform it"
    ),
    # More specific codes of the same system
    "patient-ineligible": OverrideReason("Patient ineligible"),
    "indication-order-exists": OverrideReason("Order exists for the indication"),
    "action-unsuccessful": OverrideReason("Action unsuccessful"),
    "action-performed-no-adverse-effect": OverrideReason("Action performed without adverse effect"),
    "action-not-priority": OverrideReason("Action not a priority"),
    "limited-time": OverrideReason("Limited time"),
    "wrong-time-workflow": OverrideReason("Wrong time in the workflow", "snooze"),
    "inappropriate-recipient": OverrideReason("Inappropriate recipient", "reroute"),
    "need-more-info": OverrideReason("More information needed", "snooze"),
    "does-not-align-latest-evidence": OverrideReason("Does not align with the latest evidence"),
    "expert-contradicts": OverrideReason("Expert contradicts"),
    "policy-contradicts": OverrideReason("Policy contradicts"),
    "recipient-does-not-trust": OverrideReason("Recipient does not trust the recommendation"),
    "risk-benefit-ratio": OverrideReason("Risk-benefit ratio"),
    "mitigate-risk-negative-outcome": OverrideReason("Mitigates the risk of a negative outcome"),
    "likely-negative-health-outcomes": OverrideReason("Negative health outcomes are likely"),
    "patient-fears-discomfort": OverrideReason("Patient fears discomfort"),
    "patient-does-not-want-change": OverrideReason("Patient does not want a change"),
    "cultural-religious-reason": OverrideReason("Cultural or religious reason"),
    "prefers-alternative": OverrideReason("Prefers an alternative"),
    "inadequate-support": OverrideReason("Inadequate support"),
    "implementation-challenges": OverrideReason("Implementation challenges"),
    "comorbidity-disability": OverrideReason("Comorbidity or disability"),
}

OFFERED: Final = tuple(OVERRIDE_REASONS)[:12]
"""Codes of the set that is offered to clinicians; the others are for systems that can ask more closely."""
