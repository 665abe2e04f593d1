"""The alert policy over a batch: what is left out as idle is what the policy would have left alone."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.workers.made import Ward, record, vitals
from workers.alert_policy import Policy
from workers.control import Control

READINGS = st.fixed_dictionaries(
    {
        "respiration_rate": st.integers(4, 40), "spo2": st.integers(80, 100), "systolic_bp": st.integers(70, 220),
        "pulse": st.integers(40, 150), "temperature": st.integers(350, 400).map(lambda tenth: tenth / 10),
    }
)  # fmt: skip
POLICIES = st.builds(
    Policy, news2_raise=st.integers(3, 9), news2_critical=st.integers(5, 12), news2_info=st.none() | st.integers(1, 4),
    model_raise=st.sampled_from([0.0, 0.005, 0.05, 1.0]),
)  # fmt: skip


@settings(deadline=None, max_examples=40)
@given(st.lists(READINGS, min_size=2, max_size=6), POLICIES, POLICIES)
def test_alerts_are_the_same_in_a_batch_as_record_by_record(sets, common, icu):
    """A batch of two records a patient takes no short cut; one of single records does."""
    control = Control(policies={"*": common, "icu": icu})
    events = [
        [record(vitals(f"p{k}", minute, values=one, unit="icu" if k % 2 else None)) for k, one in enumerate(sets)]
        for minute in (0, 20)
    ]
    short, full = Ward(), Ward()
    stepwise = [body["alert"] for batch in events for body in short.bodies(*batch, control=control)]
    together = [body["alert"] for body in full.bodies(*events[0], *events[1], control=control)]
    assert stepwise == together
    for patient, context in short.contexts.items():
        assert context["alert"].tobytes() == full.contexts[patient]["alert"].tobytes()
