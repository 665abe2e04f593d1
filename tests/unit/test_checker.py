"""The checker of the fault tests finds every kind of broken promise, and none where all was kept."""

from __future__ import annotations

from tests.e2e.checker import DeadLetter, End, Input, Place, Recommendation, Sample, check, unended

IN, OUT, DEAD = "in", "out", "dead"


def given(
    offset: int, *, patient: str = "p", event: str | None = "", digest: str = "", expect: End | None = None
) -> Input:
    event = f"e{offset}" if event == "" else event
    return Input(Place(IN, 0, offset), patient, event, digest or f"d{offset}", expect)


def output(
    at: int, cause: int, *, patient: str = "p", event: str = "", name: str = "", partition: int = 0
) -> Recommendation:
    event = event or f"e{cause}"
    return Recommendation(Place(OUT, partition, at), Place(IN, 0, cause), patient, event, name or f"id-{event}")


def letter(at: int, cause: int, digest: str | None = None) -> DeadLetter:
    return DeadLetter(Place(DEAD, 0, at), Place(IN, 0, cause), "not_json", f"d{cause}" if digest is None else digest)


def sample(committed: int, out: int | None = None, dead: int | None = None) -> Sample:
    marks = {(OUT, 0): out, (DEAD, 0): dead}
    return Sample({(IN, 0): committed}, {lane: mark for lane, mark in marks.items() if mark is not None})


class TestKept:
    """Runs in which every promise was kept."""

    def test_outputs_dead_letters_and_repeats_are_counted(self) -> None:
        verdict = check([given(0), given(1)], [output(0, 0), output(1, 0)], [letter(0, 1)])
        assert not verdict.violations, verdict
        assert verdict.ends == {"recommendation": 1, "dead letter": 1}
        assert verdict.reasons == {"not_json": 1}
        assert verdict.repeats == 1

    def test_a_repetition_of_an_ended_input_needs_no_output(self) -> None:
        twin = given(1, event="e0", digest="d0", expect="duplicate")
        verdict = check([given(0), twin], [output(0, 0)], [], [sample(2, out=1)])
        assert not verdict.violations, verdict
        assert verdict.ends == {"recommendation": 1, "duplicate": 1}

    def test_a_repetition_may_be_published_again_under_the_same_id(self) -> None:
        twin = given(1, event="e0", digest="d0", expect="duplicate")
        verdict = check([given(0), twin], [output(0, 0), output(1, 1, event="e0")], [])
        assert not verdict.violations, verdict

    def test_a_second_round_after_a_crash_is_in_order(self) -> None:
        again = [output(at, cause) for at, cause in enumerate([0, 1, 2, 0, 1, 2, 3])]
        assert not check([given(i) for i in range(4)], again, []).violations

    def test_a_repetition_published_late_is_a_repeat_and_not_out_of_order(self) -> None:
        inputs = [given(0), given(1, event="e0", digest="d0", expect="duplicate"), given(2)]
        late = output(2, 1, event="e0")
        assert not check(inputs, [output(0, 0), output(1, 2), late], []).violations

    def test_order_is_asked_of_each_patient_alone(self) -> None:
        inputs = [given(0, patient="p"), given(1, patient="q")]
        assert not check(inputs, [output(0, 1, patient="q"), output(1, 0, patient="p")], []).violations

    def test_commits_up_to_what_had_ended_are_right(self) -> None:
        samples = [sample(-1, out=0), sample(1, out=1), sample(2, out=1, dead=1)]
        assert not check([given(0), given(1)], [output(0, 0)], [letter(0, 1)], samples).violations

    def test_a_missing_mark_gets_the_benefit_of_doubt(self) -> None:
        assert not check([given(0)], [output(7, 0)], [], [sample(1)]).violations


class TestBroken:
    """One made violation each."""

    def test_lost(self) -> None:
        verdict = check([given(0), given(1)], [output(0, 0)], [])
        assert verdict.promises == {"lost"}
        assert "e1" in str(verdict)

    def test_lost_together_with_its_repetition(self) -> None:
        assert [v.promise for v in check([given(0), given(1, event="e0", digest="d0")], [], []).violations] == [
            "lost"
        ] * 2

    def test_same_event_id_with_other_bytes_is_no_repetition(self) -> None:
        assert check([given(0), given(1, event="e0", digest="other")], [output(0, 0)], []).promises == {"lost"}

    def test_records_without_event_id_never_stand_for_each_other(self) -> None:
        inputs = [given(0, event=None, digest="d0"), given(1, event=None, digest="d0")]
        assert check(inputs, [], [letter(0, 0)]).promises == {"lost"}

    def test_ended_twice(self) -> None:
        assert check([given(0)], [output(0, 0)], [letter(0, 0)]).promises == {"ended twice"}

    def test_a_good_record_dead_lettered(self) -> None:
        assert check([given(0, expect="recommendation")], [], [letter(0, 0)]).promises == {"wrong end"}

    def test_a_poison_record_accepted(self) -> None:
        assert check([given(0, expect="dead letter")], [output(0, 0)], []).promises == {"wrong end"}

    def test_a_conflicting_event_id_taken_for_a_duplicate(self) -> None:
        inputs = [given(0), given(1, event="e0", digest="other", expect="dead letter")]
        assert check(inputs, [output(0, 0)], []).promises == {"lost"}

    def test_output_of_a_record_that_was_never_written(self) -> None:
        assert check([given(0)], [output(0, 0), output(1, 9)], []).promises == {"foreign"}

    def test_output_about_another_patient(self) -> None:
        assert check([given(0)], [output(0, 0, patient="q")], []).promises == {"foreign"}

    def test_output_with_another_event_id(self) -> None:
        assert check([given(0)], [output(0, 0, event="e5")], []).promises == {"foreign"}

    def test_dead_letter_with_other_bytes(self) -> None:
        assert check([given(0)], [], [letter(0, 0, digest="changed")]).promises == {"foreign"}

    def test_dead_letter_of_a_record_that_was_never_written(self) -> None:
        assert check([given(0)], [output(0, 0)], [letter(0, 9)]).promises == {"foreign"}

    def test_a_repeat_under_another_id(self) -> None:
        assert check([given(0)], [output(0, 0), output(1, 0, name="new")], []).promises == {"unrecognisable"}

    def test_two_events_under_one_id(self) -> None:
        outputs = [output(0, 0, name="x"), output(1, 1, name="x")]
        assert check([given(0), given(1)], outputs, []).promises == {"unrecognisable"}

    def test_order_within_a_patient(self) -> None:
        assert check([given(0), given(1)], [output(0, 1), output(1, 0)], []).promises == {"order"}

    def test_a_patient_scattered_over_output_partitions(self) -> None:
        assert check([given(0), given(1)], [output(0, 0), output(0, 1, partition=1)], []).promises == {"order"}

    def test_commit_before_the_output(self) -> None:
        verdict = check([given(0), given(1)], [output(0, 0), output(2, 1)], [], [sample(2, out=1)])
        assert verdict.promises == {"committed early"}
        assert "1 had not ended" in str(verdict)

    def test_commit_before_the_dead_letter(self) -> None:
        assert check([given(0)], [], [letter(1, 0)], [sample(1, dead=0)]).promises == {"committed early"}

    def test_commit_over_a_repetition_whose_original_had_not_ended(self) -> None:
        inputs = [given(0), given(1, event="e0", digest="d0")]
        found = check(inputs, [output(1, 0)], [], [sample(2, out=0)]).violations
        assert [violation.promise for violation in found] == ["committed early"] * 2

    def test_commit_beyond_the_last_record(self) -> None:
        assert check([given(0)], [output(0, 0)], [], [sample(5, out=1)]).promises == {"committed early"}

    def test_an_early_commit_is_seen_although_a_later_sample_is_right(self) -> None:
        samples = [sample(1, out=0), sample(1, out=1)]
        assert check([given(0)], [output(0, 0)], [], samples).promises == {"committed early"}


def test_unended_names_what_is_still_missing() -> None:
    inputs = [given(0), given(1), given(2, event="e0", digest="d0"), given(3)]
    assert [left.event_id for left in unended(inputs, [output(0, 0)], [letter(0, 3)])] == ["e1"]


def test_the_text_of_a_verdict_is_bounded() -> None:
    text = str(check([given(i) for i in range(100)], [], []))
    assert "100 violations" in text
    assert "and 80 more" in text
