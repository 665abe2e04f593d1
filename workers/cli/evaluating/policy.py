"""Evaluation of the alert policy: stays of the sepsis set through the very policy that runs live, in event time.

Thresholds of the model are chosen on the validation part of the folder and shown on other stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np

from models.clinical.actions import Catalogue
from models.evaluation.alerting import (
    AHEAD_H,
    NEAR_H,
    Counts,
    alert_figures,
    beside,
    burden,
    counts,
    onset_h,
    sensitivity,
    time_figures,
)
from models.evaluation.figures import Summary
from models.training.metrics import Draws, rounded
from models.training.split import part_of
from workers.alert_policy import Policy
from workers.alerts import Facts
from workers.cli.evaluating.case import Case, Drawing
from workers.cli.evaluating.policy_picture import Curves, draw
from workers.datasets import physionet2019
from workers.datasets.stay import Stay
from workers.policy_facts import Voice, facts_of, see
from workers.policy_replay import tell

FILES: Final = (physionet2019.FILE,)

NEWS2_FROM: Final = range(3, 10)
MODEL_FROM: Final = (0.005, 0.0075, 0.01, 0.0125, 0.02, 0.025, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.125, 0.15,
    0.2, 0.3, 0.5)  # fmt: skip
LIVE: Final = Policy()

_RULES: Final = {
    f"{Voice.rules.value} from {LIVE.news2_raise}": (Voice.rules, LIVE.news2_raise),
    f"{Voice.total.value} from {LIVE.news2_raise}": (Voice.total, LIVE.news2_raise),
    f"{Voice.total.value} from {LIVE.news2_critical}": (Voice.total, LIVE.news2_critical),
}
"""What the model is put beside, at the same sensitivity; the first is what is live without models."""

_CLEARING: Final = {False: "alerts clear as live", True: "consciousness and oxygen declared uncharted"}


class Ward:
    """Stays, and what any policy would have told about them.

    Args:
        case: What is asked for; told of the progress.
        stays: At least one.
        name: Of the part, for the progress.
    """

    def __init__(self, case: Case, stays: Sequence[Stay], name: str) -> None:
        self.stays = stays
        self.draws = Draws([stay.patient_id for stay in stays])
        self._say = partial(_replayed, case, name, len(stays))
        self._seen = see(stays, case.bundle, Catalogue.load(), self._say)
        self._facts: dict[tuple[Voice, bool], list[list[Facts]]] = {}

    def trial(self, voice: Voice, declared: bool, thresholds: Policy) -> tuple[Counts, Counts]:
        """What the policy told, counted with AHEAD_H and with NEAR_H."""
        key = voice, declared
        if key not in self._facts:
            self._facts[key] = [facts_of(one, voice, declared=declared) for one in self._seen]
        told = [tell(one, thresholds) for one in self._facts[key]]
        return counts(self.stays, told, AHEAD_H), counts(self.stays, told, NEAR_H)


def _replayed(case: Case, name: str, count: int, done: int) -> None:
    case.say(f"replayed {done} of {count} stays ({name})")


def policy(case: Case) -> Iterator[Summary | Drawing]:
    """NEWS2 alone, the model alone and both, on hours of the sepsis set."""
    case.say(f"reading {physionet2019.FILE}")
    parts: dict[bool, list[Stay]] = {True: [], False: []}
    for stay in physionet2019.stays(case.data):
        who = f"sepsis/{stay.patient_id}"
        choosing = part_of(who) == "validation"
        if choosing or case.keep(who):
            parts[choosing].append(stay)
    if not parts[False]:
        return
    ward = Ward(case, parts[False], "judged")
    choice = Ward(case, parts[True], "to choose thresholds") if parts[True] else None
    yield _stays(ward, choice)
    curves: dict[str, Curves] = {}
    for declared, name in _CLEARING.items():
        case.say(f"policies, {name}")
        matched = {} if choice is None else _matched(choice, declared)
        yield from _scenario(ward, declared, name, matched)
        curves[name] = _curves(ward, declared)
        yield Summary(f"{name}: every threshold", _as_rows(curves[name]))
    yield Drawing("alerts.png", "Alerts against sensitivity", partial(draw, curves=curves))


def _stays(ward: Ward, choice: Ward | None) -> Summary:
    def about(stays: Sequence[Stay]) -> dict[str, object]:
        septic = [stay for stay in stays if not np.isnan(onset_h(stay))]
        return {
            "stays": len(stays),
            "septic": len(septic),
            "label 1 from the first row on": sum(bool(stay.label[0]) for stay in septic),
            "patient-days": round(sum(len(stay.time_h) for stay in stays) / 24),
        }

    chosen = {} if choice is None else {"thresholds chosen on": about(choice.stays)}
    return Summary("stays replayed", {"judged": about(ward.stays), **chosen})


def _news2(total: int) -> Policy:
    """Raised from this total on; the line of clearing is that of live, or one below the total where that is lower."""
    return Policy(
        news2_raise=total, news2_critical=max(LIVE.news2_critical, total), news2_clear=min(LIVE.news2_clear, total - 1)
    )


def _matched(choice: Ward, declared: bool) -> dict[str, float | None]:
    """For each of _RULES the highest model threshold that finds as many septic stays; None where none does."""
    models = {
        least: sensitivity(choice.trial(Voice.model, declared, Policy(model_raise=least))[0]) for least in MODEL_FROM
    }
    found: dict[str, float | None] = {}
    for label, (voice, total) in _RULES.items():
        aim = sensitivity(choice.trial(voice, declared, _news2(total))[0])
        found[label] = max((least for least, reached in models.items() if reached >= aim), default=None)
    return found


def _scenario(ward: Ward, declared: bool, name: str, matched: Mapping[str, float | None]) -> Iterator[Summary]:
    """Variants as tables; then the model beside the rules that it is as sensitive as, and both beside NEWS2."""
    rules = {label: ward.trial(voice, declared, _news2(total)) for label, (voice, total) in _RULES.items()}
    rows = dict(rules)
    for voice in (Voice.model, Voice.both):
        rows[f"{voice.value}, model from {LIVE.model_raise}"] = ward.trial(voice, declared, LIVE)
    first = next(iter(rules))
    default = f"{Voice.both.value}, model from {LIVE.model_raise}"
    ahead: dict[str, object] = {f"{default}, beside {first}": beside(rows[default][0], rules[first][0], ward.draws)}
    for of, least in matched.items():
        if least is None:
            ahead[f"model alone beside {of}"] = "no threshold is as sensitive on the stays to choose from"
            continue
        for voice in (Voice.model, Voice.both):
            label = f"{voice.value}, model from {least}"
            rows[label] = ward.trial(voice, declared, Policy(model_raise=least))
            other = of if voice is Voice.model else first
            ahead[f"{label}, beside {other}"] = beside(rows[label][0], rules[other][0], ward.draws)
    yield Summary(f"{name}: alerts", {key: alert_figures(*made, ward.draws) for key, made in rows.items()})
    yield Summary(f"{name}: times", {key: time_figures(made, ward.draws) for key, (made, _) in rows.items()})
    yield Summary(f"{name}: beside the rules", ahead)


def _curves(ward: Ward, declared: bool) -> Curves:
    """Of each voice over its thresholds: the threshold, alerts told per 100 patient-days, sensitivity, median lead."""
    found: Curves = {}
    for voice in Voice:
        if voice in {Voice.rules, Voice.total}:
            each = [(str(least), _news2(least)) for least in NEWS2_FROM]
        else:
            each = [(str(least), Policy(model_raise=least)) for least in MODEL_FROM]
        points = []
        for least, thresholds in each:
            made, _ = ward.trial(voice, declared, thresholds)
            lead = made.lead_h[~np.isnan(made.lead_h)]
            points.append((least, burden(made), sensitivity(made), float(np.median(lead)) if len(lead) else np.nan))
        found[voice.value] = points
    return found


def _as_rows(curves: Curves) -> dict[str, object]:
    columns = ("told /100 days", "sensitivity", "lead h, median")
    return {
        f"{voice}, from {least}": dict(zip(columns, map(rounded, figures), strict=True))
        for voice, points in curves.items()
        for least, *figures in points
    }
