"""Why an image could not be had, as a closed set of reasons.

An error here carries its reason and nothing else: addresses, file names and header values of an image can hold
identifiers of a patient, so no message, cause or context of the failing library goes along.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

ImageReason = Literal[
    "image_unreadable",
    "image_too_large",
    "image_not_found",
    "image_forbidden",
    "image_hash_mismatch",
    "image_source_down",
]

MEANINGS: Final[dict[ImageReason, str]] = {
    "image_unreadable": "the bytes are no image of the stated media type that can be decoded",
    "image_too_large": "the image is over the limit on bytes, pixels or frames",
    "image_not_found": "there is no image at the stated place",
    "image_forbidden": "the place is not on the allow-list, or access to it was refused",
    "image_hash_mismatch": "the image is not the one that the event describes (size or SHA-256 differs)",
    "image_source_down": "the image could not be had for now, because the place that holds it does not answer",
}
assert set(MEANINGS) == set(get_args(ImageReason))


class ImageError(Exception):
    """One image could not be had; the record goes on without it, or waits if `retryable`.

    Attributes:
        reason: One of `ImageReason`.
    """

    def __init__(self, reason: ImageReason) -> None:
        super().__init__(reason)  # args == (reason,): survives the way through a process pool
        self.reason: ImageReason = reason

    def __str__(self) -> str:
        return f"{self.reason}: {MEANINGS[self.reason]}"

    @property
    def retryable(self) -> bool:
        """The same claim may succeed later: counts as a failure of the source's circuit breaker."""
        return self.reason == "image_source_down"
