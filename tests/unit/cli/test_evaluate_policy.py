"""How thresholds of the model are chosen for `wardstream evaluate policy`, on made trials."""

from __future__ import annotations

import numpy as np
import pytest

from models.columns import COLUMNS
from models.evaluation.alerting import Told, counts
from workers.alert_policy import Policy
from workers.cli.evaluating.policy import _matched, _news2
from workers.datasets.stay import Stay
from workers.policy_facts import Voice


class Ward:
    """Four septic stays; so many are found, from each threshold on, as a table says."""

    def __init__(self, rules: int, total: dict[int, int], model: dict[float, int]) -> None:
        self._rules, self._total, self._model = rules, total, model

    def trial(self, voice: Voice, declared: bool, thresholds: Policy):
        assert declared
        if voice is Voice.rules:
            found = self._rules
        elif voice is Voice.total:
            found = self._total[thresholds.news2_raise]
        else:
            found = max((n for least, n in self._model.items() if thresholds.model_raise <= least), default=0)
        label = (np.arange(12) >= 6).astype(np.float32)  # onset at 12
        hours = np.arange(12, dtype=np.float32)
        values = np.full((12, len(COLUMNS)), np.nan, np.float32)
        stays = [Stay(str(i), hours, values, label, 60.0, 1.0) for i in range(4)]
        told = [Told([5.0], [5.0], 1, 0) if i < found else Told([], [], 0, 0) for i in range(4)]
        made = counts(stays, told)
        return made, made


def test_the_highest_threshold_that_finds_as_many_is_taken():
    ward = Ward(rules=4, total={5: 3, 7: 1}, model={0.01: 3, 0.05: 2, 0.1: 1})
    assert _matched(ward, declared=True) == {
        "NEWS2 alone from 5": None, "NEWS2 total alone from 5": 0.01, "NEWS2 total alone from 7": 0.1,
    }  # fmt: skip


@pytest.mark.parametrize(("total", "expected"), [(3, (3, 7, 2)), (5, (5, 7, 4)), (9, (9, 9, 4))])
def test_news2_from_any_total_keeps_its_tiers_in_order(total, expected):
    made = _news2(total)
    assert (made.news2_raise, made.news2_critical, made.news2_clear) == expected
