"""`wardstream dead-letters`: look at records that could not be used, and send them again once the cause is gone.

Decides what of a dead letter is shown (never its value or key unless asked) and which go back. Replaying does not
remove a dead letter: the topic is a log, and retention ends it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer
from rich.markup import escape
from rich.table import Table

from workers.cli.errors import UserError
from workers.cli.shared import err, load_settings, out, run
from workers.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Look at records that could not be used; send them again.")

_MISSING: Final = "?"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record of the dead-letter topic.

    Attributes:
        name: Its coordinates, `PARTITION:OFFSET`, by which commands select it.
        at: When it was written.
        key: Original key.
        value: Original value; None where it was null or has been left out.
        headers: All headers.
    """

    name: str
    at: datetime
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]

    def error(self, header: str) -> str:
        """One of the x-error-* headers as text; `?` where it is missing."""
        return next((value.decode("utf-8", "replace") for name, value in self.headers if name == header), _MISSING)

    @property
    def source(self) -> str:
        """Where the record came from: topic, partition and offset."""
        from topics import headers

        coordinates = (headers.ERROR_TOPIC, headers.ERROR_PARTITION, headers.ERROR_OFFSET)
        return ":".join(self.error(name) for name in coordinates)


Selection = Annotated[list[str] | None, typer.Argument(help="Which: PARTITION:OFFSET, as `list` shows them.")]
Reason = Annotated[str | None, typer.Option(help="Only those with this reason, such as schema.")]


@app.command("list")
def list_(
    reason: Reason = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 50,
) -> None:
    """Show dead letters: coordinates, time, origin, reason, detail. No patient data.

    Example:  wardstream dead-letters list --reason schema
    """
    found = [letter for letter in _read(load_settings()) if _matches(letter, reason)]
    found.sort(key=lambda letter: letter.at)
    if not found:
        out.print("no dead letters")
        return
    from topics import headers

    table = Table("which", "written", "from", "reason", "detail", box=None, pad_edge=False)
    for letter in found[-limit:]:
        table.add_row(
            letter.name, f"{letter.at:%m-%d %H:%M:%S}", escape(letter.source),
            escape(letter.error(headers.ERROR_REASON)), escape(letter.error(headers.ERROR_DETAIL)),
        )  # fmt: skip
    out.print(table)
    if len(found) > limit:
        err.print(f"{len(found) - limit} older ones are not shown: --limit {len(found)}")


@app.command("show")
def show(
    which: Annotated[str, typer.Argument(help="PARTITION:OFFSET, as `list` shows it.")],
    *,
    reveal: Annotated[bool, typer.Option("--reveal", help="Print key and value too: patient data.")] = False,
) -> None:
    """Show one dead letter: headers, size, what its reason means and what to do. Its value only with --reveal.

    Example:  wardstream dead-letters show 3:17
    """
    letter = select(_read(load_settings()), [which], None)[0]
    typer.echo("\n".join(describe(letter, reveal=reveal)))


@app.command("replay")
def replay(
    which: Selection = None,
    *,
    reason: Reason = None,
    every: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Send dead letters back to the topics they came from, with their key and headers, once the cause is gone.

    A record that still cannot be used ends here again.

    Example:  wardstream dead-letters replay 3:17 4:2

    By cause: wardstream dead-letters replay --reason output_refused --yes
    """
    if not (which or reason or every):
        raise UserError("say which: PARTITION:OFFSET, --reason REASON or --all")
    settings = load_settings()
    chosen = select(_read(settings), which or [], reason)
    records = [original(letter, settings.topic_prefix) for letter in chosen]
    if not yes and not typer.confirm(f"Send {len(records)} records back to their topics?", err=True):
        err.print("nothing sent")
        raise typer.Exit(1)

    async def go() -> None:
        from workers.cli import cluster

        async with cluster.producer(settings) as producer:
            for record in records:
                await producer.send_and_wait(**record)

    run(go())
    out.print(f"{len(records)} records sent back")


def select(letters: Sequence[DeadLetter], names: Sequence[str], reason: str | None) -> list[DeadLetter]:
    """The named ones, or all, of a reason if one is given.

    Raises:
        UserError: A name is not there, or nothing is left.
    """
    known = {letter.name: letter for letter in letters}
    if absent := [name for name in names if name not in known]:
        raise UserError(f"no dead letter {', '.join(absent)}: `wardstream dead-letters list` shows which there are")
    chosen = [known[name] for name in names] if names else list(letters)
    chosen = [letter for letter in chosen if _matches(letter, reason)]
    if not chosen:
        raise UserError(f"no dead letter has the reason {reason}" if reason else "there are no dead letters")
    return chosen


def original(letter: DeadLetter, prefix: str) -> dict[str, Any]:
    """The record as it was sent, as arguments for a producer.

    Args:
        letter: The dead letter.
        prefix: WARDSTREAM_TOPIC_PREFIX.

    Raises:
        UserError: Its value has been left out, or it does not come from an input topic of the contract.
    """
    from topics import headers
    from topics.catalogue import FEEDBACK, IMAGING, NOTES, VITALS, full_name

    if letter.error(headers.ERROR_VALUE_OMITTED) != _MISSING:
        raise UserError(
            f"{letter.name} was too large to keep its value: fetch it from {letter.source}, if it is still there"
        )
    topic = letter.error(headers.ERROR_TOPIC)
    if topic not in {full_name(prefix, name) for name in (VITALS, NOTES, IMAGING, FEEDBACK)}:
        raise UserError(
            f"{letter.name} comes from {topic}, which is not an input topic here; check WARDSTREAM_TOPIC_PREFIX"
        )
    kept = [(name, value) for name, value in letter.headers if not name.startswith(headers.ERROR_PREFIX)]
    return {"topic": topic, "key": letter.key, "value": letter.value, "headers": kept}


def describe(letter: DeadLetter, *, reveal: bool) -> list[str]:
    """One dead letter in lines; key and value only where `reveal`, and then as Python writes bytes."""
    from topics import headers
    from topics.reasons import GUIDE
    from topics.reasons import Reason as Code

    code = letter.error(headers.ERROR_REASON)
    lines = [f"{letter.name}  written {letter.at:%Y-%m-%d %H:%M:%S} UTC  from {letter.source}", f"reason   {code}"]
    if code in set(Code):
        guidance = GUIDE[Code(code)]
        lines += [f"means    {guidance.explanation}", f"do       {guidance.advice}"]
    shown = [(name, value) for name, value in letter.headers if name.startswith(headers.ERROR_PREFIX)]
    lines += [f"  {name}: {value.decode('utf-8', 'replace')}" for name, value in shown]
    if len(letter.headers) > len(shown):
        lines.append(f"  and {len(letter.headers) - len(shown)} headers of the sender")
    if reveal:
        return [*lines, f"key      {letter.key!r}", f"value    {letter.value!r}"]
    size = "null" if letter.value is None else f"{len(letter.value)} bytes"
    return [*lines, f"value    {size}, hidden; --reveal prints key and value"]


def _matches(letter: DeadLetter, reason: str | None) -> bool:
    from topics.headers import ERROR_REASON

    return reason is None or letter.error(ERROR_REASON) == reason


def _read(settings: Settings) -> list[DeadLetter]:
    """All dead letters that the topic holds now."""
    from topics.catalogue import DEAD_LETTERS, full_name
    from workers.cli import cluster

    async def go() -> list[DeadLetter]:
        async with cluster.reader(settings, full_name(settings.topic_prefix, DEAD_LETTERS)) as consumer:
            return [
                DeadLetter(
                    f"{record.partition}:{record.offset}", datetime.fromtimestamp(record.timestamp / 1000, UTC),
                    record.key, record.value, tuple(record.headers),
                )
                async for record in cluster.everything(consumer)
            ]  # fmt: skip

    return run(go())
