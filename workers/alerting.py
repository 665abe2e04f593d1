"""The alert policy over the patients of a batch: what each event, and each answer of a clinician, does to an alert.

`workers.alerts` decides; this gives it the facts, keeps the state in the patient's context, and names the action.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.clinical.actions import Catalogue
from models.clinical.truth import TRUE
from topics.control_settings import EVERYWHERE
from workers import alerts
from workers.alert_policy import Policy, Tier
from workers.alert_store import pack_alert, unpack_alert
from workers.alerts import AlertState, Change, Facts, Reached
from workers.control import Control
from workers.identity import alert_id, dedupe_digest
from workers.judge import Assessment
from workers.records import Record

UNCHARTED: Final = {"acvpu": 3, "on_oxygen": 2}
"""NEWS2 parameters that a ward may declare uncharted, in the order of the score's last columns, and their points."""

_NO_STATE: Final = AlertState()
_NOTHING: Final[frozenset[int]] = frozenset()


class AlertOut(NamedTuple):
    """What goes out about the alert of one patient.

    Attributes:
        state: After the event.
        change: What goes out.
        reason: Why, in a word.
        dedupe_key: What consumers upsert by; None where nothing was ever raised.
        found: What the event reaches.
        action: Index of the action that is called for; -1 for none.
    """

    state: AlertState
    change: Change
    reason: str
    dedupe_key: str | None = None
    found: Reached = Reached(Tier.NONE, "below_thresholds")
    action: int = -1


_QUIET: Final = AlertOut(_NO_STATE, "none", "below_thresholds")
_UNTOUCHED: Final = AlertOut(_NO_STATE, "none", "state_untouched")


class Alerting:
    """Alerts of many patients.

    Args:
        catalogue: Care actions.
        lifetime_ms: How long an alert lives after a tier was last reached.
    """

    def __init__(self, catalogue: Catalogue, lifetime_ms: int) -> None:
        self._ids: Final = [action.id for action in catalogue.actions]
        self._actions: Final = {why: catalogue.index[action] for why, action in alerts.ACTION_OF.items()}
        self._lifetime_ms = lifetime_ms

    def facts(
        self, found: Assessment, records: Sequence[Record], control: Control, *, asked: bool,
        quiet: NDArray[np.bool_] | None,
    ) -> list[Facts | None]:  # fmt: skip
        """What the policy sees of each record's patient after that record; None where it has nothing to do.

        Args:
            found: The judgement.
            records: Of it.
            control: What is in force.
            asked: Models took part.
            quiet: `(n,)` nothing is remembered of the patient's alerts; None where the batch may change that.
        """
        high = _charted_high(found, records, control)
        three = found.news2.single_three == TRUE
        asked = asked and not control.kill_switch and "vitals" not in control.models_off
        held = [_NOTHING] * len(records) if found.held is None else [_indices(row) for row in found.held]
        idle = _idle(found, three, records, control, quiet).tolist()
        return [
            None if none else
            Facts(as_of, lo, hi, s3, arrest, None if silent else risk, applicable, silent and asked, sign, False, holds)
            for none, as_of, lo, hi, s3, arrest, risk, applicable, silent, sign, holds in zip(
                idle, found.as_of.tolist(), found.news2.low.tolist(), high.tolist(), three.tolist(),
                found.arrest.tolist(), found.risks.fused.tolist(), found.applicable.tolist(),
                found.risks.abstained.tolist(), found.signs.tolist(), held, strict=True,
            )
        ]  # fmt: skip

    def tell(
        self, stored: NDArray[np.void], slot: int, record: Record, ident: str, facts: Facts | None, control: Control,
        *, moved: bool,
    ) -> AlertOut:  # fmt: skip
        """Run the policy on the state in `stored[slot]`, for one record whose result is named `ident`.

        An event that did not move the patient's state (`moved` false) does not move the alert, and shows it as it is.
        """
        if facts is None:
            return _QUIET if moved else _UNTOUCHED
        policy = control.policy_of(record.event.unit)
        found = alerts.reached(facts, policy)
        if found.tier is Tier.NONE and not stored["phase"][slot] and not stored["scores"][slot]:
            return _QUIET if moved else _UNTOUCHED
        before, digest = unpack_alert(stored[slot])
        if not moved:
            shown: Change = "suppress" if before.standing else "none"
            return AlertOut(before, shown, "state_untouched", self._key(before, digest), found, before.action)
        if record.event.replaces is not None and record.event_ms >= before.told_ms:
            facts = facts._replace(corrected=True)
        action = self._actions.get(found.why, -1)
        new_id, new_digest = before.alert_id, digest
        if not before.standing and action >= 0:
            new_digest = dedupe_digest(record.patient, record.event.encounter_id, self._ids[action])
            new_id = alert_id(new_digest, ident)
        state, change, reason = alerts.step(
            before, facts, found, policy, held=self._held(action, facts, record, control), new_id=new_id,
            action=action, lifetime_ms=self._lifetime_ms,
        )  # fmt: skip
        digest = new_digest if change == "raise" else digest
        if state is not before:
            pack_alert(stored, slot, state, digest)
        return AlertOut(state, change, reason, self._key(state, digest), found, action)

    def current(self, stored: NDArray[np.void], slot: int) -> AlertState:
        """The state in `stored[slot]`."""
        return unpack_alert(stored[slot])[0]

    def respond(
        self, stored: NDArray[np.void], slot: int, answer: alerts.Answer, policy: Policy
    ) -> tuple[AlertState, str]:  # fmt: skip
        """Apply a clinician's answer to `stored[slot]`; the state before, and in a word what the answer did."""
        before, digest = unpack_alert(stored[slot])
        state, effect = alerts.respond(before, answer, policy)
        if state is not before:
            pack_alert(stored, slot, state, digest)
        return before, effect

    def take_back(self, stored: NDArray[np.void], slot: int, ident: int) -> None:
        """Undo what the feedback event with this digest did to the alert in `stored[slot]`."""
        before, digest = unpack_alert(stored[slot])
        state = alerts.unanswered(before, ident)
        if state is not before:
            pack_alert(stored, slot, state, digest)

    def _held(self, action: int, facts: Facts, record: Record, control: Control) -> str | None:
        """Why the action must not be told about now."""
        if action < 0:
            return None
        if control.muted(record.event.unit, self._ids[action]):
            return "muted"
        return "overridden" if action in facts.held else None

    def _key(self, state: AlertState, digest: bytes) -> str | None:
        """The action that the alert was raised about, and a digest without time, tier or policy."""
        return f"{self._ids[state.about]}:{digest.hex()}" if state.about >= 0 else None


def _indices(row: NDArray[np.uint8]) -> frozenset[int]:
    return frozenset(np.flatnonzero(row).tolist())


def _idle(
    found: Assessment, three: NDArray[np.bool_], records: Sequence[Record], control: Control,
    quiet: NDArray[np.bool_] | None,
) -> NDArray[np.bool_]:  # fmt: skip
    """`(n,)` no tier is reached, as `alerts.reached` would say one by one, and nothing is remembered."""
    if quiet is None:
        return np.zeros(len(records), np.bool_)
    if control.policies.keys() - {EVERYWHERE}:
        lines = np.array([_lines(control.policy_of(record.event.unit)) for record in records]).T
    else:
        lines = np.array(_lines(control.policy_of(None)))[:, None]
    low = np.where(found.applicable, found.news2.low, 0)
    risk = np.where(found.risks.abstained, -1.0, found.risks.fused.astype(np.float64))
    reached = found.arrest | (low >= lines[0]) | (found.applicable & three) | (risk >= lines[1])
    idle: NDArray[np.bool_] = quiet & ~reached
    return idle


def _lines(policy: Policy) -> tuple[float, float]:
    """The NEWS2 and the risk from which a tier is reached."""
    totals = [policy.news2_raise, policy.news2_critical]
    return min(totals if policy.news2_info is None else [*totals, policy.news2_info]), policy.model_raise


def _charted_high(found: Assessment, records: Sequence[Record], control: Control) -> NDArray[np.int16]:
    """`(n,)` highest possible NEWS2, with what a ward declares that it never charts taken for alert and on air."""
    high = found.news2.high
    if not any(policy.uncharted for policy in control.policies.values()):
        return high
    declared = [control.policy_of(record.event.unit).uncharted for record in records]
    asked = np.array([[name in each for name in UNCHARTED] for each in declared])
    points = (found.news2.missing[:, -len(UNCHARTED) :] & asked) @ np.array(list(UNCHARTED.values()), np.int16)
    charted: NDArray[np.int16] = (high - points).astype(np.int16)
    return charted
