"""`wardstream replay`: real, openly licensed records go to Kafka as a ward."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from workers.cli.shared import err, load_settings
from workers.cli.simulate import keep_in, send


def replay(
    *,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder with physionet2019/, kermany_cxr/, mtsamples/. Default: WARDSTREAM_DATA."),
    ] = None,
    patients: Annotated[int, typer.Option(min=1, max=10_000, help="Stays to take.")] = 12,
    speed: Annotated[float, typer.Option(min=0.001, help="Time runs this many times faster.")] = 3600.0,
    rate: Annotated[float | None, typer.Option(min=0.001, help="Records a second, instead of --speed.")] = None,
    duration: Annotated[float | None, typer.Option(min=0.1, help="Stop after so many seconds.")] = None,
    seed: Annotated[int, typer.Option(help="Decides which stays, and which film and note go with which.")] = 1,
    images: Annotated[
        str, typer.Option(help="`inline`, or a folder to put films in and send claim checks.")
    ] = "inline",
) -> None:
    """Send real records: PhysioNet 2019 hours, Kermany chest films, MTSamples notes.

    No open set has all three of one patient, so each patient is a pairing by chance, and says so in its id. Their hours
    are moved to end now.

    Example:  wardstream replay --data ../shared/data --patients 20 --speed 1800
    """
    from workers.cli.feed import Pace
    from workers.cli.paired_ward import NOTICE, load_stays, paired_ward
    from workers.datasets.folder import data_folder

    settings = load_settings()
    stays, missing = load_stays(data_folder(data), patients, seed)
    for line in (NOTICE, *missing):
        err.print(line, soft_wrap=True)
    start = latest_start(max(len(stay.hours) for stay in stays))
    keep = None if images == "inline" else keep_in(Path(images))
    records = paired_ward(stays, start=start, name=f"paired-{seed}-{start:%Y%m%d%H%M%S}", keep_image=keep)
    send(settings, records, Pace(speed, rate), duration)


def latest_start(hours: float) -> datetime:
    """The start for which the last hour lies just before now."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(hours=hours + 2)
