"""The ranker that learning starts from: what workers use, which control may have changed, or what it came from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from models.bundle import ARTEFACTS, artefact
from topics.control_settings import ModelSwitch
from workers.cli import control_state, registry
from workers.cli.errors import UserError
from workers.cli.shared import err
from workers.control_record import Change
from workers.settings import Settings


async def promoted_ranker(settings: Settings) -> str | None:
    """The version that control has made the one in use. Reads the control topic whole.

    Returns:
        The version; None where control names none.

    Raises:
        UserError: There is no control topic.
    """
    try:
        found = await control_state.read(settings, control_state.now())
    except UserError as error:
        raise UserError(f"{error}; or name the ranker in use with --base") from None
    return version_of(found.live)


def version_of(live: Mapping[str, Change]) -> str | None:
    """The ranker's version among the settings in force, which may also have turned it off; None if none names it."""
    change = live.get("model/ranker")
    setting = None if change is None or change.event is None else change.event.setting
    return setting.version if isinstance(setting, ModelSwitch) else None


def start_from(wanted: str | None, promoted: str | None, folder: Path | None) -> Path:
    """The artefact to start from.

    Args:
        wanted: What --base names.
        promoted: What workers use by control, in the place of the active one.
        folder: Of artefacts; None for the shipped ones.

    Raises:
        UserError: It, or the one that it came from, is not there or unfit.
        WeightsError: Likewise.
    """
    if wanted is not None:
        place = registry.find(folder or ARTEFACTS, "ranker", wanted)
    elif promoted is not None:
        place = _promoted(promoted, folder or ARTEFACTS)
    else:
        place = artefact(folder, "ranker")
    learned = registry.check_about(place, "ranker").config.get("learned")
    if learned is None:
        return place
    if wanted is not None:
        err.print("it has learned from answers before: those that are still read count twice", markup=False)
        return place
    return _base_before(learned["from"], folder)


def _promoted(version: str, folder: Path) -> Path:
    err.print(f"in use by control: ranker {version}", markup=False)
    try:
        return registry.find(folder, "ranker", version)
    except UserError:
        raise UserError(
            f"workers use ranker {version} by control, and {folder} has no such version: name the folder that has it "
            "with --models, or where to start with --base"
        ) from None


def _base_before(version: str, folder: Path | None) -> Path:
    """The first of the versions that a learned one came from."""
    seen: set[str] = set()
    while version not in seen:
        seen.add(version)
        place = registry.find(folder or ARTEFACTS, "ranker", version)
        learned = registry.check_about(place, "ranker").config.get("learned")
        if learned is None:
            err.print(f"starting from {version}, which learned from no answers yet", markup=False)
            return place
        version = learned["from"]
    raise UserError(f"ranker {version} came from itself: name where to start with --base")
