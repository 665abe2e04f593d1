"""Section `latency`: from the moment a record was due to be sent to its recommendation in a consumer's hands."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from bench.events import Load, vitals
from bench.plan import Plan, Progress
from bench.report import Section, number
from bench.schedule import Delays, Schedule, delays
from bench.site import Place, Sample, Site
from bench.traffic import Sent, cause, producer, results, send_on_schedule
from topics.catalogue import VITALS, full_name

_LEAD_S: Final = 0.5  # between setting the schedule and its first record
_GRACE_S: Final = 10.0  # after the last record is due
_POLL_MS: Final = 20
_PERCENTS: Final = (50.0, 99.0, 99.9, 100.0)


def measure(site: Site, plan: Plan, per_second: float, progress: Progress) -> Section:
    """Latency of the vitals pipeline.

    Args:
        site: Where.
        plan: How long, and at which rate.
        per_second: Throughput on a full topic; half of it is sent unless the plan names a rate.
        progress: Told what happens.
    """
    rate = plan.rate or per_second / 2
    schedule = Schedule(rate, plan.latency_s, plan.warm_up_s)
    place = site.place()
    partitions = place.settings.topic_partitions
    load = Load(schedule.count, plan.patients, int(time.time() * 1000))
    progress(f"preparing {schedule.count} records")
    records = [(load.partition(n, partitions), *each) for n, each in enumerate(vitals(load))]
    with place.worker("vitals") as worker:
        progress(f"{rate:.0f} records a second for {plan.latency_s:g} s")
        before = worker.sample()
        sent, received = asyncio.run(_drive(place, records, schedule))
        after = worker.sample()
    found = _section(plan, schedule, per_second, delays(schedule, received), sent)
    _add_batches(found, before, after)
    return found


async def _drive(
    place: Place, records: list[tuple[int, bytes, bytes]], schedule: Schedule
) -> tuple[Sent, dict[int, float]]:
    """Send on schedule and listen at the same time."""
    settings = place.settings
    async with producer(settings) as client, results(settings) as listener:
        start = time.monotonic() + _LEAD_S
        received: dict[int, float] = {}
        topic = full_name(settings.topic_prefix, VITALS)
        sending = asyncio.create_task(send_on_schedule(client, topic, records, schedule, start))
        end = start + schedule.seconds + _GRACE_S
        while len(received) < schedule.count and time.monotonic() < end:
            batches = await listener.getmany(timeout_ms=_POLL_MS)
            now = time.monotonic() - start
            for batch in batches.values():
                for record in batch:
                    received.setdefault(cause(record.value), now)
        return await sending, received


def _section(plan: Plan, schedule: Schedule, per_second: float, found: Delays, sent: Sent) -> Section:
    counted = Delays(sorted(sent.late_s[schedule.first :]), 0)
    rows = [
        (f"p{percent:g}" if percent < 100 else "max", _ms(found, percent), _ms(counted, percent))
        for percent in _PERCENTS
    ]
    share = f", {schedule.rate / per_second:.0%} of the throughput on a full topic" if per_second else ""
    notes = [
        (
            f"{schedule.rate:.0f} records/s{share}; {len(found.sorted_s)} records counted over "
            f"{plan.latency_s - plan.warm_up_s:g} s after {plan.warm_up_s:g} s of warm-up; {found.missing} "
            f"never came, {sent.failed} were refused."
        ),
        (
            "Open loop: send times are fixed beforehand, and a delay counts from the time at which a record "
            "was due, so a stall of the sender or of the worker counts against every record that was due "
            "meanwhile."
        ),
        (
            "From due to received by a consumer of the recommendations: broker, both fetches, and the load "
            "generator's own share of the same cores are in it. `sender late` is the part between due and "
            "handed to the Kafka client."
        ),
    ]
    figures = {
        "rate": schedule.rate,
        "ms": {f"p{percent:g}": found.percentile(percent) * 1000 for percent in _PERCENTS},
        "sender_late_ms": {f"p{percent:g}": counted.percentile(percent) * 1000 for percent in _PERCENTS},
        "counted": len(found.sorted_s), "missing": found.missing, "refused": sent.failed,
    }  # fmt: skip
    return Section("latency", "Latency at half load", ("", "ms", "sender late, ms"), rows, figures, notes)


def _add_batches(section: Section, before: Sample, after: Sample) -> None:
    """How large batches were at this load, and what a record cost in them."""
    ended = max(1, after.results - before.results)
    size = ended / max(1, after.batches - before.batches)
    cpu_us = (after.cpu_s - before.cpu_s) / ended * 1e6
    section.figures |= {"batch_records": size, "cpu_us": cpu_us}
    section.notes.append(
        f"Batches of {number(size)} records on average, {number(cpu_us)} us of the worker's CPU a record: "
        "small batches are quick and dear, full ones are cheap."
    )


def _ms(found: Delays, percent: float) -> str:
    return number(found.percentile(percent) * 1000)
