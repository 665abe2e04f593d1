"""Elements that the FHIR R4 resources share: identifiers, logical references, times, the label of machine-made content.

References are logical (an identifier, never the URL of a resource): the receiving server knows which Patient it means.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from topics.projections import wording
from topics.recommendation import RecommendationEvent

RECOMMENDATION: Final = "urn:wardstream:recommendation"
ALERT: Final = "urn:wardstream:alert"
EVENT: Final = "urn:wardstream:event"
ACTION: Final = "urn:wardstream:action"
RISK: Final = "urn:wardstream:risk"

# Which models took part is in the text; this label lets a server filter what no person wrote (HL7 v3, as the AI
# transparency guide on R4 uses it).
AIAST: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "AIAST",
    "display": "Artificial Intelligence asserted",
}


class Systems(NamedTuple):
    """What the ids of patients and encounters are ids of, as URIs; None where the consumer does not say.

    Attributes:
        patient: Of `patient_id`, such as the hospital's numbers of patients.
        encounter: Of `encounter_id`.
    """

    patient: str | None = None
    encounter: str | None = None


UNSAID: Final = Systems()


def resource(kind: str, **elements: Any) -> dict[str, Any]:
    """A resource with its label, without what is None or empty: FHIR knows no null and no empty list."""
    return {"resourceType": kind, "meta": {"security": [dict(AIAST)]}, **present(**elements)}


def present(**elements: Any) -> dict[str, Any]:
    """The elements that are there."""
    return {name: value for name, value in elements.items() if value not in (None, "", [], {})}


def identifier(system: str | None, value: str) -> dict[str, Any]:
    """A business identifier; by it a consumer updates conditionally."""
    return present(system=system, value=value)


def reference(kind: str, system: str | None, value: str) -> dict[str, Any]:
    """A logical reference to a resource of a kind."""
    return {"type": kind, "identifier": identifier(system, value)}


def device() -> dict[str, Any]:
    """Who says it: this system."""
    return {"type": "Device", "display": "wardstream"}


def patient(event: RecommendationEvent, systems: Systems) -> dict[str, Any]:
    """Whom it is about."""
    return reference("Patient", systems.patient, event.patient_id)


def encounter(event: RecommendationEvent, systems: Systems) -> dict[str, Any] | None:
    """In which stay, where that is known."""
    if event.encounter_id is None:
        return None
    return reference("Encounter", systems.encounter, event.encounter_id)


def instant(time: datetime | None) -> str | None:
    """A dateTime in UTC."""
    if time is None:
        return None
    text = time.astimezone(UTC).isoformat(timespec="milliseconds" if time.microsecond else "seconds")
    return text.replace("+00:00", "Z")


def basis(event: RecommendationEvent) -> list[dict[str, Any]]:
    """The events that were used: by id where this result names it, else by modality and time."""
    return [
        present(
            identifier=None if each.event_id is None else identifier(EVENT, each.event_id),
            display=f"{each.modality}, {each.freshness}"
            + (f", of {wording.when(each.event_time)}" if each.event_time is not None else ""),
        )
        for each in event.inputs
        if each.event_id is not None or each.event_time is not None
    ]


def notes(event: RecommendationEvent) -> list[dict[str, str]]:
    """What a reader must know: every doubt, then that this is research."""
    return [{"text": text} for text in (*wording.doubts(event), wording.NOTICE)]
