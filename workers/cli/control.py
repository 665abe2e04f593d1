"""`wardstream control`: change what workers do while they run, and see what is in force.

Decides the commands. What may be written is in `control_write`, what the topic holds in `control_state`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from workers.cli.errors import UserError
from workers.cli.shared import err, load_settings, out, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from topics.control_settings import Setting
    from workers.cli.control_write import Outgoing

app = typer.Typer(no_args_is_help=True, help="Change what workers do while they run; see what is in force.")

_Actor = Annotated[str, typer.Option(help="Who does it: your account or role, not a patient's.")]
_Reason = Annotated[str, typer.Option(help="Why, in words. It is kept for years: no patient data.")]
_For = Annotated[str | None, typer.Option("--for", help="It ends by itself after so long: 30m, 2h, 1d.")]
_Until = Annotated[str | None, typer.Option(help="It ends by itself then: RFC 3339, with offset.")]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the record and send nothing.")]
_Unit = Annotated[str | None, typer.Option(help="The ward, spelt as the events' `unit`.")]
_Everywhere = Annotated[bool, typer.Option("--everywhere", help="All wards that have no setting of their own.")]


@app.command("thresholds")
def thresholds(  # noqa: PLR0913 - one option a threshold
    *,
    actor: _Actor,
    reason: _Reason,
    unit: _Unit = None,
    everywhere: _Everywhere = False,
    news2_raise: Annotated[int | None, typer.Option(help="Alert at this NEWS2 or above, 1 to 20.")] = None,
    news2_critical: Annotated[int | None, typer.Option(help="Critical at this NEWS2 or above.")] = None,
    news2_clear: Annotated[int | None, typer.Option(help="Clear below this NEWS2, 0 to 20.")] = None,
    news2_info: Annotated[int | None, typer.Option(help="Info alert at this NEWS2 or above.")] = None,
    model_raise: Annotated[float | None, typer.Option(help="Alert at this model risk or above, to 1.")] = None,
    lasts: _For = None,
    until: _Until = None,
    dry_run: _DryRun = False,
) -> None:
    """Set when alerts begin and end on a ward.

    Replaces all thresholds set for that ward before: what you leave out is again that of --everywhere, or the default.

    Example:  wardstream control thresholds --unit ICU --news2-raise 6 --news2-clear 4 --actor dr.lee --reason "Pilot"
    """
    from topics.control_settings import Thresholds
    from workers.cli import control_write as write

    where = write.ward(unit, everywhere=everywhere)
    given = {
        "news2_raise": news2_raise, "news2_critical": news2_critical, "news2_clear": news2_clear,
        "news2_info": news2_info, "model_raise": model_raise,
    }  # fmt: skip
    values = {name: value for name, value in given.items() if value is not None}
    setting = write.made(lambda: Thresholds(unit=where, **values))
    _set(setting, actor, reason, lasts, until, dry_run=dry_run)


@app.command("policy")
def policy(  # noqa: PLR0913 - one option a field
    *,
    actor: _Actor,
    reason: _Reason,
    unit: _Unit = None,
    everywhere: _Everywhere = False,
    quiet_hours: Annotated[str | None, typer.Option(help='When info alerts wait: "22:00-06:00 Europe/London".')] = None,
    confirm_scores: Annotated[int | None, typer.Option(help="High risks of the last three, for a model alone.")] = None,
    confirm_minutes: Annotated[int | None, typer.Option(help="Or all of them high for so long.")] = None,
    hold_minutes: Annotated[int | None, typer.Option(help="Better for so long before an alert clears.")] = None,
    refractory: Annotated[
        str | None, typer.Option(help="Minutes without the same again, by tier: critical=60,warning=240.")
    ] = None,
    snooze_max: Annotated[str | None, typer.Option(help="Longest snooze in minutes, by tier, likewise.")] = None,
    uncharted: Annotated[str | None, typer.Option(help="Never charted here: acvpu,on_oxygen, or none.")] = None,
    budget: Annotated[
        float | None, typer.Option(help="Alerts per 100 patient-days to stay below. Measured; holds no alert.")
    ] = None,
    lasts: _For = None,
    until: _Until = None,
    dry_run: _DryRun = False,
) -> None:
    """Set how alerts behave on a ward: what waits, for how long, and what it never charts.

    Replaces the whole policy set for that ward before. When alerts begin is `control thresholds`.

    Example:  wardstream control policy --unit ICU --uncharted acvpu --budget 5 --actor dr.lee --reason "Pilot"
    """
    from topics.control_settings import WardPolicy
    from workers.cli import control_write as write

    where = write.ward(unit, everywhere=everywhere)
    given = {
        "quiet_hours": quiet_hours, "confirm_scores": confirm_scores, "confirm_minutes": confirm_minutes,
        "hold_minutes": hold_minutes, "refractory_minutes": write.by_tier(refractory, "--refractory"),
        "snooze_max_minutes": write.by_tier(snooze_max, "--snooze-max"), "uncharted": write.names_of(uncharted),
        "budget_per_100_patient_days": budget,
    }  # fmt: skip
    values = {name: value for name, value in given.items() if value is not None}
    setting = write.made(lambda: WardPolicy.model_validate({"unit": where, **values}))
    _set(setting, actor, reason, lasts, until, dry_run=dry_run)


@app.command("rules-only")
def rules_only(
    *,
    actor: _Actor,
    reason: _Reason,
    on: Annotated[bool | None, typer.Option("--on/--off", help="On leaves all models out. Say one of the two.")] = None,
    unit: _Unit = None,
    everywhere: _Everywhere = False,
    lasts: _For = None,
    until: _Until = None,
    dry_run: _DryRun = False,
) -> None:
    """Decide a ward by rules and clinical scores alone (--on), or with models again (--off).

    Example:  wardstream control rules-only --unit PAEDS --on --actor dr.lee --reason "Models not evaluated here"
    """
    from topics.control_settings import RulesOnly
    from workers.cli import control_write as write

    where = write.ward(unit, everywhere=everywhere)
    to = _either(on, "--on leaves all models out, --off lets them take part again")
    _set(write.made(lambda: RulesOnly(unit=where, on=to)), actor, reason, lasts, until, dry_run=dry_run)


@app.command("patient")
def patient(
    *,
    patient_id: Annotated[str, typer.Option("--patient", help="The patient; only the keyed HMAC is written.")],
    actor: _Actor,
    reason: _Reason,
    spo2_scale: Annotated[int | None, typer.Option(help="1, or 2 for confirmed hypercapnic failure.")] = None,
    icu_not_appropriate: Annotated[
        bool, typer.Option("--icu-not-appropriate", help="Ceiling: critical care is not appropriate.")
    ] = False,
    dnacpr: Annotated[bool, typer.Option("--dnacpr", help="Ceiling: do not attempt resuscitation.")] = False,
    lasts: _For = None,
    until: _Until = None,
    dry_run: _DryRun = False,
) -> None:
    """Set what a prescriber decided for one patient, for 30 days at most: SpO2 scale, ceilings of care.

    Replaces all limits set for that patient before. Needs the workers' WARDSTREAM_IDENTITY_KEY.

    Example:  wardstream control patient --patient p-17 --spo2-scale 2 --for 7d --actor dr.lee --reason "COPD, ABG"
    """
    from topics.control_settings import PatientLimits
    from workers.cli import control_write as write

    name = write.pseudonym(load_settings(), patient_id)
    ceilings = {"icu_not_appropriate": icu_not_appropriate, "dnacpr": dnacpr}
    setting = write.made(lambda: PatientLimits.model_validate({"patient": name, "spo2_scale": spo2_scale, **ceilings}))
    _set(setting, actor, reason, lasts, until, dry_run=dry_run)


@app.command("model")
def model(  # noqa: PLR0913 - one option a field
    name: Annotated[str, typer.Argument(help="vitals, notes, imaging, fusion or ranker.")],
    *,
    actor: _Actor,
    reason: _Reason,
    on: Annotated[bool, typer.Option("--on/--off", help="Whether it takes part.")] = True,
    version: Annotated[str | None, typer.Option(help="Version to use, as `models list` names it.")] = None,
    shadow: Annotated[str | None, typer.Option(help="Candidate that scores along and changes nothing.")] = None,
    canary: Annotated[str | None, typer.Option(help="Candidate for a share of the patients.")] = None,
    share: Annotated[float | None, typer.Option(help="That share, to 1.")] = None,
    fusion: Annotated[str | None, typer.Option(help="Fusion that goes with --version: both change at once.")] = None,
    shadow_fusion: Annotated[str | None, typer.Option(help="Fusion that goes with --shadow.")] = None,
    canary_fusion: Annotated[str | None, typer.Option(help="Fusion that goes with --canary.")] = None,
    lasts: _For = None,
    until: _Until = None,
    dry_run: _DryRun = False,
) -> None:
    """Set one model: on or off, which version, and which candidates run beside it. Rules go on in any case.

    Replaces all that was set for that model before. Versions other than those that workers started with must lie in the
    models folder of every worker. A fusion reads what vitals, notes and imaging make: name the one trained with them.

    Example:  wardstream control model imaging --off --actor dr.lee --reason "New X-ray unit, not evaluated"

    Example:  wardstream control model ranker --version 0.1.0+1a2b3c4d --actor dr.lee --reason "Evaluated, see card"
    """
    from topics.control_settings import ModelSwitch
    from workers.cli import control_write as write

    given = {
        "version": version, "shadow": shadow, "canary": canary, "share": share, "fusion": fusion,
        "shadow_fusion": shadow_fusion, "canary_fusion": canary_fusion,
    }  # fmt: skip
    setting = write.made(lambda: ModelSwitch.model_validate({"name": name, "enabled": on, **given}))
    write.check_versions(setting, load_settings().models_dir)
    _set(setting, actor, reason, lasts, until, dry_run=dry_run)


@app.command("kill-switch")
def kill_switch(
    *,
    actor: _Actor,
    reason: _Reason,
    on: Annotated[bool | None, typer.Option("--on/--off", help="On turns all models off. Say one of the two.")] = None,
    lasts: _For = None,
    until: _Until = None,
    dry_run: _DryRun = False,
) -> None:
    """Turn all models off at once (--on), or let them take part again (--off). Rules go on in any case.

    Example:  wardstream control kill-switch --on --actor dr.lee --reason "Unexplained rise in alerts"
    """
    from topics.control_settings import KillSwitch

    to = _either(on, "--on turns all models off, --off lets them take part again")
    _set(KillSwitch(on=to), actor, reason, lasts, until, dry_run=dry_run)


@app.command("mute")
def mute(
    *,
    action: Annotated[str, typer.Option(help="Id of the action that must not page.")],
    actor: _Actor,
    reason: _Reason,
    unit: _Unit = None,
    everywhere: _Everywhere = False,
    lasts: _For = None,
    until: _Until = None,
    dry_run: _DryRun = False,
) -> None:
    """Keep alerts about one action from paging, for 24 hours at most. It is still recommended.

    Example:  wardstream control mute --unit ICU --action sepsis-screen --for 2h --actor dr.lee --reason "Drill"
    """
    from models.clinical.actions import Catalogue
    from topics.control_settings import Mute
    from workers.cli import control_write as write

    where = write.ward(unit, everywhere=everywhere)
    write.check_action(action, Catalogue.load())
    setting = write.made(lambda: Mute(unit=where, action_id=action))
    _set(setting, actor, reason, lasts, until, dry_run=dry_run)


@app.command("unset")
def unset(
    subject: Annotated[str, typer.Argument(help="Which setting, as `control show` names it.")],
    *,
    actor: _Actor,
    reason: _Reason,
    dry_run: _DryRun = False,
) -> None:
    """Take a setting back: what it changed is again the default, or that of all wards.

    Example:  wardstream control unset mute/ICU/sepsis-screen --actor dr.lee --reason "Drill is over"
    """
    from workers.cli import control_state as topic
    from workers.cli import control_write as write

    now = topic.now()
    write.check_subject(subject)
    record = write.taken_back(subject, write.Signature(actor, reason, now))
    if not dry_run:
        found = run(topic.read(load_settings(), now))
        known = sorted({*found.live, *found.ended, *found.refused})
        if subject not in known:
            raise UserError(f"nothing is set for {subject}; set: {', '.join(known) or 'nothing at all'}")
    _send(record, f"{subject} taken back", topic.in_force, dry_run=dry_run)


@app.command("show")
def show(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")] = False,
) -> None:
    """Show every setting in force: value, since when, until when, who, why. Reads the whole control topic.

    Example:  wardstream control show

    Scripts:  wardstream control show --json | jq .subject
    """
    from workers.cli import control_state as topic

    found = run(topic.read(load_settings(), topic.now()))
    if as_json:
        for _, change in sorted(found.live.items()):
            typer.echo(orjson.dumps(topic.as_data(change)).decode())
    elif found.live:
        out.print(topic.table(found.live))
    else:
        out.print("nothing is set: defaults are in force")
    if found.ended:
        err.print(f"ended by themselves: {', '.join(sorted(found.ended))}", markup=False)
    for _, change in sorted(found.refused.items()):
        assert change.refusal is not None
        said = f"offset {change.offset} was refused: {change.refusal.reason}, {change.refusal.detail}"
        err.print(f"{said}; set it anew, or compaction will take what is in force before it", markup=False)


def _set(setting: Setting, actor: str, reason: str, lasts: str | None, until: str | None, *, dry_run: bool) -> None:
    from workers.cli import control_state as topic
    from workers.cli import control_write as write

    now = topic.now()
    ends = write.end(lasts, until, now)
    record = write.signed(setting, write.Signature(actor, reason, now, ends))
    for note in write.notes(setting):
        err.print(f"note: {note}", markup=False, soft_wrap=True)
    words = f"{record.key.decode()}: {topic.in_words(setting)}"
    words = f"{words} until {ends:{topic.TIME}} UTC" if ends else words
    _send(record, words, lambda offset: topic.in_force(offset, setting), dry_run=dry_run)


def _either(on: bool | None, meaning: str) -> bool:
    """Which of --on and --off was given.

    Raises:
        UserError: Neither.
    """
    if on is None:
        raise UserError(f"say --on or --off: {meaning}")
    return on


def _send(record: Outgoing, words: str, then: Callable[[int], str], *, dry_run: bool) -> None:
    """Print the record, or write it and say what `then` makes of its offset."""
    from workers.cli import control_write as write

    if dry_run:
        shown = None if record.value is None else orjson.loads(record.value)
        headers = {name: value.decode() for name, value in record.headers}
        typer.echo(orjson.dumps({"key": record.key.decode(), "value": shown, "headers": headers}).decode())
        err.print("dry run: nothing sent")
        return
    offset = run(write.send(load_settings(), record))
    out.print(f"written at offset {offset}: {words}", markup=False, soft_wrap=True)
    out.print(then(offset), markup=False, soft_wrap=True)
