"""The note event: one clinical text.

Decides the limits of a note and which document types are known. Knows nothing of language or models.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Annotated, Final, Self

from pydantic import Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from topics.events import Event, Flags, Identifier

MAX_TEXT_CHARS: Final = 100_000

NOTE_KINDS: Final = MappingProxyType(
    {
        "11506-3": "Progress note",
        "18842-5": "Discharge summary",
        "11488-4": "Consultation note",
        "34117-2": "History and physical note",
        "28570-0": "Procedure note",
        "18748-4": "Diagnostic imaging study",
        "34746-8": "Nurse note",
        "34111-5": "Emergency department note",
    }
)
"""LOINC document types (US Core clinical notes starter set, imaging, nurse, emergency)."""


class NoteEvent(Event):
    """One clinical note. A note of another kind than NOTE_KINDS is read too, and said to be of unknown kind."""

    text: str = Field("", max_length=MAX_TEXT_CHARS, description="Plain text; may be left out when retracting a note.")
    kind: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,7}-[0-9]$")] = Field(
        "11506-3",
        description="LOINC document type: " + ", ".join(f"{code} {name}" for code, name in NOTE_KINDS.items()),
    )
    author_role: Identifier = Field("unknown", description="Nurse, doctor, ... as the source names it; never a name.")
    flags: Flags = Field(default_factory=dict)

    @property
    def kind_known(self) -> bool:
        """Whether `kind` is one of NOTE_KINDS."""
        return self.kind in NOTE_KINDS

    @model_validator(mode="after")
    def _has_text(self) -> Self:
        if self.status != "entered-in-error" and not self.text.strip():
            raise PydanticCustomError("text_missing", "a note has a text, unless it retracts one")
        return self
