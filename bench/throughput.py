"""Section `vitals`: the complete pipeline on a topic that is full, as a worker process runs it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass

from bench.events import Load, images, notes, vitals
from bench.plan import Plan, Progress
from bench.report import Section, number
from bench.schedule import steady_rate
from bench.site import Sample, Site
from bench.traffic import Published, fill, read_back
from topics.catalogue import IMAGING, NOTES, VITALS


@dataclass(frozen=True, slots=True)
class Throughput:
    """What a worker did with a full topic.

    Attributes:
        records: Of which each has its recommendation.
        per_second: Of results, after the first tenth of them.
        cpu_us: CPU time of the worker process a record, start-up excluded, microseconds.
        result_bytes: Mean size of a recommendation.
        repeats: Recommendations beyond one a record.
    """

    records: int
    per_second: float
    cpu_us: float
    result_bytes: float
    repeats: int


def run(site: Site, modality: str, records: Iterable[tuple[bytes, bytes]], progress: Progress) -> Throughput:
    """Fill a topic, let one worker empty it, read what it published."""
    place = site.place()
    settings = place.settings
    topic = {"vitals": VITALS, "notes": NOTES, "imaging": IMAGING}[modality]
    progress(f"filling {topic}")
    count = asyncio.run(fill(settings, topic, _placed(records, settings.topic_partitions)))
    progress("starting a worker")
    with place.worker(modality) as worker:
        progress(f"the worker works through {count} records")
        samples = worker.run_through(count)
    progress("reading the results")
    found = asyncio.run(read_back(settings, count))
    return _throughput(found, samples)


def measure_vitals(site: Site, plan: Plan, progress: Progress) -> Throughput:
    """The vitals pipeline."""
    load = Load(plan.vitals_records, plan.patients, int(time.time() * 1000))
    return run(site, "vitals", vitals(load), progress)


def measure_notes(site: Site, plan: Plan, progress: Progress) -> Throughput:
    """The notes pipeline."""
    return run(site, "notes", notes(plan.note_records, int(time.time() * 1000)), progress)


def measure_images(site: Site, plan: Plan, progress: Progress) -> Throughput:
    """The imaging pipeline."""
    return run(site, "imaging", images(plan.image_records, int(time.time() * 1000)), progress)


def section(plan: Plan, found: Throughput) -> Section:
    """The section `vitals`."""
    return Section(
        "vitals",
        "Complete vitals pipeline",
        ("", "figure"),
        [
            ("records/s, after the first tenth", number(found.per_second)),
            ("CPU us a record, worker process", number(found.cpu_us)),
            ("bytes of a recommendation, mean", number(found.result_bytes)),
            ("recommendations beyond one a record", str(found.repeats)),
        ],
        {
            "records": found.records, "records_per_s": found.per_second, "cpu_us": found.cpu_us,
            "result_bytes": found.result_bytes, "repeats": found.repeats,
        },
        [
            (
                f"One worker process, `--only vitals`, on a full topic: {found.records} events of {plan.patients} "
                "patients; 8 observations each, carried state in Redis, rank, alert, explanation, full recommendation, "
                "acks=all."
            ),
            "Broker, Redis and worker share the machine's cores; nothing else runs. CPU time is the worker's own.",
        ],
    )  # fmt: skip


def _placed(records: Iterable[tuple[bytes, bytes]], partitions: int) -> Iterable[tuple[int, bytes, bytes]]:
    """Each record with the partition of its key's number, so that a patient's records stay together."""
    for key, value in records:
        yield int(key[6:]) % partitions, key, value


def _throughput(found: Published, samples: list[Sample]) -> Throughput:
    """CPU time counts from the first look at which results were there, so that no start-up is in it."""
    begun = next((sample for sample in samples if sample.results), samples[-1])
    if begun.results == samples[-1].results:
        begun = samples[0]  # all was done between two looks
    done = max(1, samples[-1].results - begun.results)
    return Throughput(
        found.distinct,
        steady_rate(found.times_ms),
        (samples[-1].cpu_s - begun.cpu_s) / done * 1e6,
        found.value_bytes / len(found.times_ms),
        len(found.times_ms) - found.distinct,
    )
