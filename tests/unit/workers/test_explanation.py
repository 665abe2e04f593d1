"""What a result says of why: in the scale of the risk it publishes, with the right sign."""

from __future__ import annotations

import numpy as np
import pytest

from models.bundle import load_bundle
from models.columns import INDEX
from tests.unit.workers.made import Ward, vitals
from workers.evidence import SPANS, heat, spans

MIDDLE = {"pulse": (90, 25), "respiration_rate": (22, 7), "systolic_bp": (110, 25), "spo2": (94, 3),
          "temperature": (37.5, 1.2)}  # fmt: skip


def log_odds(body: dict) -> float:
    probability = body["risks"][0]["probability"]
    return float(np.log(probability / (1 - probability)))


def test_a_contribution_is_what_the_published_risk_owes_to_the_value():
    """Put the strongest value of a first event to its usual one: the published log odds move by about as much."""
    usual, random = load_bundle().vitals.centre, np.random.default_rng(0)
    claimed, real = [], []
    for k in range(40):
        values = {code: round(float(random.normal(*of)), 1) for code, of in MIDDLE.items()}
        values["spo2"] = min(values["spo2"], 100)
        body = Ward().body(vitals(f"p{k}", values=values))
        strongest = next((e for e in body["explanation"]["vitals"] if e["parameter"] in values), None)
        if strongest is None or body["risks"][0]["probability"] is None:
            continue
        assert strongest["value"] == pytest.approx(values[strongest["parameter"]], abs=1e-3)
        without = values | {strongest["parameter"]: float(usual[INDEX[strongest["parameter"]]])}
        claimed.append(strongest["contribution"])
        real.append(log_odds(body) - log_odds(Ward().body(vitals(f"q{k}", values=without))))
    one, other = np.array(claimed), np.array(real)
    assert len(one) >= 30
    assert (np.sign(one) == np.sign(other)).mean() >= 0.8
    assert np.corrcoef(one, other)[0, 1] > 0.7
    assert 0.5 < np.abs(other).sum() / np.abs(one).sum() < 2


class TestSpans:
    def test_join_neighbours_and_keep_the_strongest_in_order_of_the_text(self):
        offsets = np.array([[3 * k, 3 * k + 2] for k in range(9)], np.int32)
        saliency = np.array([0.1, 0.5, 0.4, -0.9, 0.0, 0.3, -0.2, 0.2, 0.7], np.float32)
        found = spans(saliency, offsets, np.ones(9, bool))
        assert [(start, end) for start, end, _ in found] == [(0, 8), (15, 17), (21, 26)]
        assert found[0][2] == pytest.approx(1.0)

    def test_are_few_and_never_of_padding(self):
        offsets = np.array([[10 * k, 10 * k + 2] for k in range(40)], np.int32)
        found = spans(np.ones(40, np.float32), offsets, np.arange(40) < 30)
        assert len(found) == SPANS
        assert spans(np.ones(4, np.float32), offsets[:4], np.zeros(4, bool)) == ()


class TestHeat:
    def test_reaches_from_nothing_to_one_and_hides_what_speaks_against(self):
        np.testing.assert_allclose(heat(np.array([[2.0, -3.0], [1.0, 0.0]], np.float32)), [[1, 0], [0.5, 0]])

    def test_of_a_film_with_nothing_for_the_finding_is_empty(self):
        assert not heat(np.full((2, 2), -1, np.float32)).any()
