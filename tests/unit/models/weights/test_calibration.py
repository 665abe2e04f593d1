import numpy as np
import torch

from models.calibration import Calibration, calibrated_logits, exclusive_probabilities, probabilities

NAN = np.nan


def test_calibration_turns_logits_into_probabilities():
    logits = np.array([[2.0, 3.0], [NAN, -900.0]], np.float32)
    shifted = calibrated_logits(logits, ("a", "b"), {"a": Calibration(temperature=2.0, bias=-1.0)})
    np.testing.assert_allclose(shifted, [[0.0, 3.0], [NAN, -900.0]])
    np.testing.assert_allclose(probabilities(shifted), [[0.5, 0.952574], [NAN, 0.0]], atol=1e-6)


def test_exclusive_probabilities_are_a_softmax_without_overflow():
    logits = np.array([[1.0, 2.0, 3.0], [900.0, -900.0, 0.0]], np.float32)
    expected = torch.softmax(torch.from_numpy(logits) / 2, 1).numpy()
    halves = dict.fromkeys("abc", Calibration(temperature=2.0))
    np.testing.assert_allclose(exclusive_probabilities(logits, "abc", halves), expected, atol=1e-6)
    assert np.isnan(exclusive_probabilities(np.array([[NAN, 1.0]], np.float32), "ab", {})).all()
