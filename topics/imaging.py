"""The imaging event: one image, by claim check or, if small, inline.

Decides the shape of a reference. Whether its host may be read, and what the bytes hold, is the worker's business.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, ClassVar, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Discriminator,
    EncodedBytes,
    EncoderProtocol,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from topics.events import Contract, Event, Identifier, Sha256

MAX_INLINE_BYTES: Final = 256 * 1024

MediaType = Literal["image/png", "image/jpeg", "application/dicom"]


def _no_credentials(uri: str) -> str:
    """A claim check lies in Kafka for days; whoever reads the topic must not learn how to read the store."""
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        raise PydanticCustomError("uri_invalid", "not a URI") from None
    if parts.username is not None or parts.password is not None:
        raise PydanticCustomError("uri_credentials", "a claim check carries no credentials")
    return uri


Uri = Annotated[
    str,
    StringConstraints(pattern=r"^(file|https?|s3)://[^\x00-\x20\x7f]+$", max_length=2048),
    AfterValidator(_no_credentials),
]


class _StrictBase64(EncoderProtocol):
    """Base64 that refuses foreign characters instead of skipping them."""

    @classmethod
    def decode(cls, data: bytes) -> bytes:
        """Bytes of `data`.

        Raises:
            PydanticCustomError: `data` is not Base64, or decodes to more than MAX_INLINE_BYTES.
        """
        try:
            plain = base64.b64decode(data, validate=True)
        except binascii.Error:
            raise PydanticCustomError("base64_invalid", "not Base64 (RFC 4648, standard alphabet, padded)") from None
        if len(plain) > MAX_INLINE_BYTES:
            raise PydanticCustomError("inline_too_large", "send images above 256 KiB by claim check")
        return plain

    @classmethod
    def encode(cls, value: bytes) -> bytes:
        """`value` in Base64."""
        return base64.b64encode(value)

    @classmethod
    def get_json_format(cls) -> Literal["base64"]:
        """Format in the JSON Schema."""
        return "base64"


class ClaimCheck(Contract):
    """Where the image lies, and how to know that it is the right one."""

    uri: Uri = Field(description="file://, http(s):// or s3://; only what the operator allows is read.")
    sha256: Sha256
    size_bytes: int = Field(ge=1, le=2**40)
    media_type: MediaType


class InlineImage(Contract):
    """The image itself, up to 256 KiB."""

    data: Annotated[bytes, EncodedBytes(encoder=_StrictBase64)] = Field(min_length=1)
    media_type: MediaType
    sha256: Sha256 | None = None


def _way(value: Any) -> str:
    """Tell the two ways apart by the field that only one of them has."""
    inline = "data" in value if isinstance(value, dict) else isinstance(value, InlineImage)
    return "inline" if inline else "claim_check"


Image = Annotated[
    Annotated[ClaimCheck, Tag("claim_check")] | Annotated[InlineImage, Tag("inline")], Discriminator(_way)
]


class ImagingEvent(Event):
    """One image of one patient."""

    union_tags: ClassVar[frozenset[str]] = frozenset({"claim_check", "inline"})

    image: Image | None = Field(None, description="May be left out when retracting an image.")
    modality: Identifier | None = Field(None, description="DICOM modality such as CR or DX.")
    view: Identifier | None = Field(None, description="View position such as PA, AP or LL.")
    body_part: Identifier | None = Field(None, description="Body part examined, such as CHEST.")

    @model_validator(mode="after")
    def _has_image(self) -> Self:
        if self.status != "entered-in-error" and self.image is None:
            raise PydanticCustomError("image_missing", "an imaging event has an image, unless it retracts one")
        return self
