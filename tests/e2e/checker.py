"""Decides from what lies in the topics whether a run kept its promises. Pure: no broker, no clock, no process.

The promises (docs: guarantees), as one reads them from outside:

1. Every input ended: as a recommendation, as a dead letter, or as a duplicate of an input that did.
2. Repeats are recognisable: all outputs of one input carry the same recommendation_id, different events different ones.
3. Per patient and input partition, the first outputs come in input order.
4. An output belongs to its input: same patient, same event id, a dead letter with the same bytes.
5. A committed offset never passed an input that had not ended at that time.

Time is told by marks, not by clocks: after each reading of the committed offsets the harness writes a mark into every
output partition. What lies before the mark had been written when the offsets were read; broker and worker clocks do
not matter, nor do end offsets, which not every broker reports rightly.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

End = Literal["recommendation", "dead letter", "duplicate"]
TopicPartition = tuple[str, int]


class Place(NamedTuple):
    """Coordinates of a record."""

    topic: str
    partition: int
    offset: int


class Input(NamedTuple):
    """A record that was written for the worker.

    `digest` stands for key and value. `expect` is how it must end, None if any end will do.
    """

    place: Place
    patient: str | None
    event_id: str | None
    digest: str
    expect: End | None = None


class Recommendation(NamedTuple):
    """A record of the recommendations topic: where it lies, and what it says caused it."""

    place: Place
    cause: Place
    patient: str
    event_id: str
    recommendation_id: str


class DeadLetter(NamedTuple):
    """A record of the dead-letters topic. `digest` is None where the worker had to leave the value out."""

    place: Place
    cause: Place
    reason: str
    digest: str | None


@dataclass(frozen=True, slots=True)
class Sample:
    """Committed offsets as read at one time, and the mark of every output partition that was written right after."""

    committed: Mapping[TopicPartition, int]
    marks: Mapping[TopicPartition, int]


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise."""

    promise: str
    detail: str


@dataclass(slots=True, repr=False)
class Verdict:
    """What the checker found."""

    violations: list[Violation] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    repeated: list[Place] = field(default_factory=list)

    @property
    def repeats(self) -> int:
        """Outputs beyond the first of each input."""
        return len(self.repeated)

    @property
    def promises(self) -> set[str]:
        """Names of the broken promises."""
        return {violation.promise for violation in self.violations}

    def __repr__(self) -> str:
        shown = [f"  {violation.promise}: {violation.detail}" for violation in self.violations[:20]]
        more = len(self.violations) - len(shown)
        lines = [
            f"{len(self.violations)} violations, ends {dict(self.ends)}, {self.repeats} repeats, {dict(self.reasons)}",
            *shown,
            *([f"  and {more} more"] if more > 0 else []),
            *(f"  repeated: {place}" for place in self.repeated[:5]),
        ]
        return "\n".join(lines)


def unended(
    inputs: Iterable[Input], recommendations: Iterable[Recommendation], dead_letters: Iterable[DeadLetter]
) -> list[Input]:
    """Inputs that have neither an output of their own nor are a repetition of one that has."""
    ended = {output.cause for output in recommendations} | {letter.cause for letter in dead_letters}
    return [given for given, first in _firsts(inputs) if given.place not in ended and first not in ended]


def check(
    inputs: Sequence[Input],
    recommendations: Sequence[Recommendation],
    dead_letters: Sequence[DeadLetter],
    samples: Sequence[Sample] = (),
) -> Verdict:
    """The verdict over a whole run.

    Args:
        inputs: In the order in which they were written.
        recommendations: All records of their topic; each partition in the order of its offsets.
        dead_letters: Likewise.
        samples: In the order in which they were taken.
    """
    verdict = Verdict(
        reasons=Counter(letter.reason for letter in dead_letters),
        repeated=_repeated(recommendations) + _repeated(dead_letters),
    )
    verdict.violations += [
        *_lost_or_wrong(inputs, recommendations, dead_letters, verdict.ends),
        *_foreign(inputs, recommendations, dead_letters),
        *_unrecognisable(recommendations),
        *_out_of_order(inputs, recommendations),
        *_committed_early(inputs, [*recommendations, *dead_letters], samples),
    ]
    return verdict


def _firsts(inputs: Iterable[Input]) -> Iterator[tuple[Input, Place]]:
    """Each input, with the place of the first one of the same topic, event id and bytes: itself or its original."""
    seen: dict[tuple[str, str, str], Place] = {}
    for given in inputs:
        if given.event_id is None:
            yield given, given.place
        else:
            yield given, seen.setdefault((given.place.topic, given.event_id, given.digest), given.place)


def _ends(recommendations: Iterable[Recommendation], dead_letters: Iterable[DeadLetter]) -> set[tuple[Place, End]]:
    """What each input ended as, by outputs of its own."""
    as_recommendation: set[tuple[Place, End]] = {(output.cause, "recommendation") for output in recommendations}
    return as_recommendation | {(letter.cause, "dead letter") for letter in dead_letters}


def _repeated(outputs: Sequence[Recommendation | DeadLetter]) -> list[Place]:
    """Where the outputs lie whose input already had one."""
    seen: set[Place] = set()
    again = []
    for output in outputs:
        if output.cause in seen:
            again.append(output.place)
        seen.add(output.cause)
    return again


def _lost_or_wrong(
    inputs: Sequence[Input],
    recommendations: Sequence[Recommendation],
    dead_letters: Sequence[DeadLetter],
    counts: Counter[str],
) -> Iterator[Violation]:
    ends = _ends(recommendations, dead_letters)
    for given, first in _firsts(inputs):
        own: list[End] = [end for end in ("recommendation", "dead letter") if (given.place, end) in ends]
        repeats = first != given.place and any((first, end) in ends for end in ("recommendation", "dead letter"))
        if len(own) == 2:
            yield Violation("ended twice", f"{given.place} is a recommendation and a dead letter")
        elif not own and not repeats:
            yield Violation("lost", f"{given.place} has not ended ({given.event_id})")
            continue
        end: End = "duplicate" if repeats and "dead letter" not in own else own[-1]
        counts[end] += 1
        if given.expect is not None and end != given.expect:
            yield Violation("wrong end", f"{given.place} ended as {end}, not as {given.expect} ({given.event_id})")


def _foreign(
    inputs: Sequence[Input], recommendations: Sequence[Recommendation], dead_letters: Sequence[DeadLetter]
) -> Iterator[Violation]:
    known = {given.place: given for given in inputs}
    for output in recommendations:
        cause = known.get(output.cause)
        if cause is None:
            yield Violation("foreign", f"{output.place} names a cause that was never written: {output.cause}")
        elif output.event_id != cause.event_id or output.patient != cause.patient:
            yield Violation("foreign", f"{output.place} of {output.event_id} is not about its cause {cause.event_id}")
    for letter in dead_letters:
        cause = known.get(letter.cause)
        if cause is None:
            yield Violation("foreign", f"dead letter {letter.place} names a cause never written: {letter.cause}")
        elif letter.digest not in (None, cause.digest):
            yield Violation("foreign", f"dead letter {letter.place} has other bytes than its cause {letter.cause}")


def _unrecognisable(recommendations: Sequence[Recommendation]) -> Iterator[Violation]:
    by_event: dict[tuple[str, str], str] = {}
    by_id: dict[str, tuple[str, str]] = {}
    for output in recommendations:
        event, this = (output.cause.topic, output.event_id), output.recommendation_id
        if by_event.setdefault(event, this) != this:
            yield Violation("unrecognisable", f"{event} was published as {by_event[event]} and as {this}")
        elif by_id.setdefault(this, event) != event:
            yield Violation("unrecognisable", f"{this} names two events: {by_id[this]} and {event}")


def _out_of_order(inputs: Sequence[Input], recommendations: Sequence[Recommendation]) -> Iterator[Violation]:
    originals = {given.place: first for given, first in _firsts(inputs)}
    seen: set[Place] = set()
    newest: dict[tuple[str, str, int], int] = {}
    home: dict[str, TopicPartition] = {}
    for output in recommendations:
        where = (output.place.topic, output.place.partition)
        if home.setdefault(output.patient, where) != where:
            yield Violation("order", f"{output.place}: the same patient's output also lies in {home[output.patient]}")
        original = originals.get(output.cause, output.cause)
        if seen & {output.cause, original}:  # a repeat, of itself or of what it duplicates
            continue
        seen.add(output.cause)
        lane = (output.patient, output.cause.topic, output.cause.partition)
        if output.cause.offset < newest.get(lane, -1):
            yield Violation("order", f"{output.event_id} at {output.cause} came out after offset {newest[lane]}")
        newest[lane] = max(output.cause.offset, newest.get(lane, -1))


def _committed_early(
    inputs: Sequence[Input], outputs: Sequence[Recommendation | DeadLetter], samples: Sequence[Sample]
) -> Iterator[Violation]:
    ends: dict[Place, list[Place]] = defaultdict(list)
    for output in outputs:
        ends[output.cause].append(output.place)
    lanes: dict[TopicPartition, list[tuple[int, list[Place]]]] = defaultdict(list)
    for given, first in _firsts(inputs):
        lane = (given.place.topic, given.place.partition)
        lanes[lane].append((given.place.offset, [*ends[given.place], *(ends[first] if first != given.place else ())]))
    judged: Counter[TopicPartition] = Counter()  # all below had ended by an earlier mark
    for number, sample in enumerate(samples):
        for lane, committed in sample.committed.items():
            known = lanes[lane]
            if committed > (known[-1][0] + 1 if known else 0):
                yield Violation("committed early", f"sample {number}: {lane} at {committed}, beyond the last record")
            for offset, places in known[judged[lane] :]:
                if offset >= committed:
                    break
                judged[lane] += 1
                if not any(_before(place, sample.marks) for place in places):
                    yield Violation(
                        "committed early", f"sample {number}: {lane} at {committed}, {offset} had not ended"
                    )


def _before(place: Place, marks: Mapping[TopicPartition, int]) -> bool:
    """Whether a record was there when the mark was written; a partition without a mark gets the benefit of doubt."""
    mark = marks.get((place.topic, place.partition))
    return mark is None or place.offset < mark
