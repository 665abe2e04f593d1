"""docs/alerts.md leaves nothing out: whatever events and answers come, what happens is a row of its table."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.alert_page import ANSWERS, INFO_AT_NIGHT, SEEN, answer, facts, named, one, outcome
from workers.alert_policy import DEFAULT
from workers.alerts import AlertState, Phase, respond

ROWS = {(phase, *outcome(seen, phase)) for seen in SEEN for phase in seen.phases}
EFFECTS = {respond(AlertState(Phase.ACTIVE), each, DEFAULT)[1] for _, each in ANSWERS}

hours = st.integers(1, 40).map(lambda quarter: quarter / 4)
events = st.builds(
    facts, st.integers(0, 9), st.none() | st.integers(9, 20), risk=st.none() | st.sampled_from([0.1, 0.3]),
    corrected=st.booleans(),
)  # fmt: skip
held = st.sampled_from([None, None, "muted", "overridden"])
answers = st.sampled_from([
    answer("accepted"), answer("snoozed"), answer("overridden", effect="reroute"),
    answer("overridden", effect="snooze"),
])  # fmt: skip


@given(st.lists(st.tuples(hours, events, held, st.none() | answers), max_size=12), st.booleans())
def test_every_step_of_any_series_is_a_row(series, night):
    state, at_ms = AlertState(), 0
    for hours_on, event, why_not, given_ in series:
        at_ms += round(hours_on * 3_600_000)
        before = state.phase
        policy = INFO_AT_NIGHT if night else DEFAULT
        state, change, reason = one(state, event._replace(event_ms=at_ms), policy, why_not)
        assert (before, change, named(reason), state.phase.name.lower()) in ROWS
        if given_ is not None:
            state, effect = respond(state, given_._replace(at_ms=at_ms), policy)
            assert effect in EFFECTS | {"no_alert"}


def test_no_row_is_there_twice():
    texts = [(seen.text, phase) for seen in SEEN for phase in seen.phases]
    assert all(first != second for first, second in pairwise(sorted(texts)))
