"""The alert state of a patient, between `workers.alerts` and the packed context."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.alert_policy import Tier
from workers.alerts import AlertState, Phase

_GAP: Final = bytes(2)


def unpack_alert(stored: np.void) -> tuple[AlertState, bytes]:
    """The state, and the digest of what the alert is about."""
    (
        phase, tier, news2, signs, of_model, scores, action, about, routed, told, _, revision, raised_ms, told_ms,
        seen_ms, below_ms, lower_ms, above_ms, scored_ms, until_ms, answered_ms, answer, ident, digest,
    ) = stored.item()  # fmt: skip
    state = AlertState(
        Phase(phase), Tier(tier), news2, signs, bool(of_model), scores, action, about, routed, revision, raised_ms,
        told_ms, seen_ms, below_ms, lower_ms, above_ms, scored_ms, until_ms, answered_ms, answer, bytes(ident),
        Tier(told or tier),
    )  # fmt: skip
    return state, bytes(digest)


def pack_alert(stored: NDArray[np.void], slot: int, state: AlertState, digest: bytes) -> None:
    """Keep a state in `stored[slot]`, `(n,)` of `workers.context.ALERT`."""
    stored[slot] = (
        state.phase, state.tier, state.news2, state.signs, state.of_model, state.scores, state.action, state.about,
        state.routed, state.told, _GAP, state.revision, state.raised_ms, state.told_ms, state.seen_ms, state.below_ms,
        state.lower_ms, state.above_ms, state.scored_ms, state.until_ms, state.answered_ms, state.answer,
        state.alert_id, digest,
    )  # fmt: skip
