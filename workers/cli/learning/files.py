"""Answers, recommendations and vital signs from files of JSON lines, as `kcat` or `wardstream tail --json` write them.

No message repeats what a line says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

from topics.codec import Decoded, decode
from topics.events import Envelope
from topics.feedback import FeedbackEvent
from topics.vitals import VitalsEvent
from workers.cli.errors import UserError
from workers.cli.learning.joining import Join
from workers.cli.learning.material import LINES_AT_ONCE, Material
from workers.cli.learning.verdicts import verdicts
from workers.clock import now_ms

E = TypeVar("E", bound=Envelope)


def from_files(
    feedback: Path, recommendations: Path, vitals: Path | None, tell: Callable[[str, int], None]
) -> Material:
    """Read and join.

    Args:
        feedback: Feedback events.
        recommendations: Recommendations, of each patient in the order in which they were published.
        vitals: Vitals events; None: no readings are known.
        tell: Told of each file how many lines were read, now and then.

    Raises:
        UserError: A file cannot be read.
    """
    unreadable = {"feedback": 0, "recommendations": 0}
    answers: list[FeedbackEvent] = []
    for one in _events(FeedbackEvent, feedback, tell):
        if one is None:
            unreadable["feedback"] += 1
        else:
            answers.append(one)
    join = Join(verdicts(answers))
    for lines in _lines(recommendations, tell):
        for line in lines:
            join.see(line)
    unreadable["recommendations"] = join.unreadable
    if vitals is not None:
        by_event: dict[tuple[str, str], list[str]] = {}
        for identifier, cause in join.causes().items():
            by_event.setdefault((cause.source, cause.event_id), []).append(identifier)
        for event in _events(VitalsEvent, vitals, tell):
            if event is not None:
                for identifier in by_event.get((event.source, event.event_id), ()):
                    join.read(identifier, event)
    return Material.of(join, len(answers), unreadable)


def _lines(file: Path, tell: Callable[[str, int], None]) -> Iterator[tuple[bytes, ...]]:
    """Lines that hold something, many at once."""
    read = 0
    try:
        with file.open("rb") as stream:
            full = (line for line in stream if line.strip())
            while lines := tuple(islice(full, LINES_AT_ONCE)):
                yield lines
                read += len(lines)
                tell(file.name, read)
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}") from None


def _events(kind: type[E], file: Path, tell: Callable[[str, int], None]) -> Iterator[E | None]:
    """The event of each line; None where it is none."""
    for lines in _lines(file, tell):
        for one in decode(kind, [(None, line.strip()) for line in lines], now_ms=now_ms()):
            yield one.event if isinstance(one, Decoded) else None
