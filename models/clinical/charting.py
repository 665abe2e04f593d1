"""Readings as an observation chart holds them: whole numbers, and temperature to a tenth, halves rounded up.

Bands of the scores and thresholds of the rules are printed in charted values, so scores and rules read these and agree
with one another: a pulse of 130.6 is charted 131, scores 3 and starts continuous ECG monitoring.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from models.clinical.truth import Floats
from models.columns import INDEX

CHARTED: Final = ("respiration_rate", "spo2", "systolic_bp", "pulse", "temperature", "acvpu", "on_oxygen")
"""The seven NEWS2 parameters, in the order of their columns."""

if [INDEX[name] for name in CHARTED] != list(range(len(CHARTED))):  # they are read as one slice
    raise ImportError("models.columns must begin with the seven NEWS2 parameters")

TEMPERATURE: Final = CHARTED.index("temperature")

# A decimal half such as 35.05 lies up to half a float32 step away from where float32 puts it, and between 32 and 64
# that is 2**-19. The next float32 below is further off. So exactly that much more, in float64, rounds up every half
# and nothing else; no clinical edge lies outside 32 to 64.
_HALF_STEP: Final = 2.0**-19
_SCALE: Final = np.array([[10.0 if name == "temperature" else 1.0] for name in CHARTED])
_BIAS: Final = np.array([[0.5 + 10.0 * _HALF_STEP if name == "temperature" else 0.5] for name in CHARTED])


def chart_units(values: Floats) -> npt.NDArray[np.float64]:
    """The seven charted parameters in steps of the chart.

    Args:
        values: (B, P) float32 readings in the order of `models.columns`, NaN where unknown.

    Returns:
        (7, B) float64 whole numbers (temperature in tenths of a degree), NaN where unknown.
    """
    units = np.ascontiguousarray(values[:, : len(CHARTED)].T, dtype=np.float64)
    units *= _SCALE
    units += _BIAS
    return np.floor(units, out=units)


def charted(values: Floats) -> Floats:
    """(7, B) float32 charted values in canonical units, NaN where unknown; `values` as for `chart_units`."""
    units = chart_units(values)
    units[TEMPERATURE] /= 10.0
    return units.astype(np.float32)
