"""The worker, `wardstream offline` and `wardstream evaluate` give the same probabilities for the same records.

Events go through the contract: units, plausibility, JSON. Evaluation reads arrays in canonical units. What is compared
is therefore the whole way from a record to a probability, late arrivals and irregular gaps included.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from functools import cache

import numpy as np
import pytest
import torch
from PIL import Image

from models.bundle import Bundle, load_bundle
from models.calibration import calibrated_logits, probabilities
from models.clinical.actions import Catalogue
from models.columns import COLUMNS, INDEX
from models.evaluation.figures import Question
from models.evaluation.fusion import Case, scores
from models.evaluation.notes import notes_questions
from models.evaluation.vitals import vitals_question
from models.training import imaging, notes
from models.training.cohort import Cohort
from models.training.note_texts import NoteSet
from models.training.sequences import milliseconds
from tests.unit.workers.made import START, note, vitals
from topics.catalogue import IMAGING, NOTES, VITALS
from workers.alert_policy import Policy
from workers.control import ControlBoard
from workers.datasets.note_sets import ORGANS
from workers.datasets.stay import Stay
from workers.ledger import PartitionLedger
from workers.metrics import Metrics
from workers.offline import Line, Offline
from workers.parts import build_parts
from workers.patients import Patients
from workers.pipeline import Pipeline
from workers.policy_facts import Voice, facts_of, see
from workers.policy_replay import tell
from workers.records import Publish, Refused, Source
from workers.settings import Settings
from workers.stores import MemoryContexts

CLOSE = 1e-4
NOW_MS = int((START + timedelta(days=9)).timestamp() * 1000)
USUAL = {"pulse": (88, 20), "respiration_rate": (20, 5), "systolic_bp": (118, 22), "spo2": (95, 3),
         "temperature": (37.2, 0.8), "diastolic_bp": (65, 12), "lactate": (2.2, 1), "creatinine": (120, 40),
         "glucose": (8, 2), "potassium": (4.2, 0.5)}  # fmt: skip
LACTATE_MG_DL = 9.008  # one millimole of lactate a litre in mg/dL
TEXTS = (
    "Chest radiograph shows consolidation of the right lower lobe with air bronchograms. Heart size is normal.",
    "The patient underwent arthroscopy of the left knee. A torn medial meniscus was found and resected.",
    "Follow up for diabetes mellitus. She reports good control of her blood sugars at home on metformin.",
)


@cache
def bundle() -> Bundle:
    """The shipped networks, except that they call nothing foreign: made films and texts must get probabilities."""
    torch.set_num_threads(1)
    made = load_bundle()
    for network in (made.vitals, made.notes, made.imaging):
        network.novelty.threshold.fill_(torch.inf)
    return made


def stay(name: str, seed: int, length: int = 10) -> Stay:
    """Some of the usual measurements at irregular times, a pause of a night among them."""
    random = np.random.default_rng(seed)
    hours = np.cumsum(random.choice([0.02, 0.25, 1.0, 1.5, 9.7], length)).astype(np.float32)
    values = np.full((length, len(COLUMNS)), np.nan, np.float32)
    for code, (middle, spread) in USUAL.items():
        some = random.random(length) < 0.6
        values[some, INDEX[code]] = random.normal(middle, spread, some.sum()).round(2)
    values[:, INDEX["spo2"]] = np.minimum(values[:, INDEX["spo2"]], 100)
    values[:, INDEX["lactate"]] = np.maximum(values[:, INDEX["lactate"]], 0.3)
    values[:, INDEX["pulse"]] = random.normal(90, 15, length).round(1)  # every row is an event
    return Stay(name, hours, values, np.zeros(length, np.float32), 58.0, 0.0)


def events(one: Stay) -> list[dict]:
    """The stay as producers would send it; lactate in mg/dL."""
    made = []
    for k, (ms, row) in enumerate(zip(milliseconds(one.time_h).tolist(), one.values, strict=True)):
        known = {column.name: float(value) for column, value in zip(COLUMNS, row, strict=True) if not np.isnan(value)}
        observed = [
            {"code": code, "value": value, "unit": COLUMNS[INDEX[code]].unit}
            for code, value in known.items()
            if code != "lactate"
        ]
        if "lactate" in known:
            observed.append({"code": "lactate", "value": known["lactate"] * LACTATE_MG_DL, "unit": "mg/dL"})
        made.append(
            vitals(one.patient_id, 0, event_id=f"e{k}", event_time=(START + timedelta(milliseconds=ms)).isoformat(),
                   observations=observed, subject={"age_years": 58, "sex": "female"}, oxygen=None, acvpu=None)
        )  # fmt: skip
    return made


class Kept:
    """An outlet that keeps what would be published."""

    def __init__(self) -> None:
        self.bodies: list[dict] = []

    async def publish(self, decided: Sequence[Publish]) -> list[Refused]:
        self.bodies += [json.loads(each.value) for each in decided]
        return []

    async def bury(self, refused: Sequence[Refused]) -> None:
        assert not refused


def topic_of(event: dict) -> str:
    return NOTES if "text" in event else IMAGING if "image" in event else VITALS


async def live(sent: list[dict]) -> dict[str, dict]:
    """Through the worker's pipeline with its stages and micro-batches under way; results by event id."""
    settings, store, metrics, kept = Settings(image_processes=1), MemoryContexts(), Metrics(), Kept()
    parts = build_parts(settings, store, metrics.count_embedding, bundle())

    async def refold(_context, _records) -> None:
        raise AssertionError("nobody else writes")

    def settle(ended: Sequence[Source]) -> None:
        pipeline.settle_now(ended)

    patients = Patients(store, refold, settle, wait_s=0.0, most=100, count=metrics.count_context)
    pipeline = Pipeline(
        settings, parts.encoders, parts.decider, patients, kept, ControlBoard(), parts.threads, parts.identity, metrics
    )
    under_way = asyncio.create_task(pipeline.run())
    try:
        for topic in dict.fromkeys(map(topic_of, sent)):
            mine, ledger = [event for event in sent if topic_of(event) == topic], PartitionLedger()
            ledger.deliver(range(len(mine)))
            sources = [
                Source(topic, 0, i, event["patient_id"].encode(), json.dumps(event).encode(), (), ledger, NOW_MS, 0.0,
                       full_topic=topic)
                for i, event in enumerate(mine)
            ]  # fmt: skip
            await pipeline.accept(sources)
            async with asyncio.timeout(10):
                while ledger.in_flight:
                    await asyncio.sleep(0.005)
    finally:
        under_way.cancel()
        with suppress(asyncio.CancelledError):
            await under_way
        await parts.close()
    return {f"{body['patient_id']}/{body['caused_by']['event_id']}": body for body in kept.bodies}


async def offline(sent: list[dict]) -> dict[str, dict]:
    run = Offline(Settings(image_processes=1), bundle())
    try:
        lines = [Line(topic_of(event), event["patient_id"].encode(), json.dumps(event).encode()) for event in sent]
        bodies = [json.loads(line) async for line in run.run(lines)]
    finally:
        await run.close()
    return {f"{body['patient_id']}/{body['caused_by']['event_id']}": body for body in bodies}


def risks(body: dict) -> dict[str, float]:
    assert not {"suspect_value", "unit_unknown", "code_unknown"} & set(body["reasons"])
    assert body["risks"][0]["probability"] is not None, body["reasons"]
    return {risk["name"]: risk["probability"] for risk in body["risks"]}


def evaluated(stays: list[Stay], label: str, *, last_only: bool) -> list[float]:
    """What `wardstream evaluate` judges, stay by stay in the order given."""
    found = vitals_question(bundle(), stays, label, last_only=last_only)
    return [float(p) for one in stays for p in found.probability[found.patient == one.patient_id]]


@pytest.mark.parametrize("way", [live, offline])
@pytest.mark.parametrize("label", ["sepsis_6h", "mortality"])
async def test_vital_signs_in_order(way, label):
    stays = [stay(f"p{seed}", seed) for seed in range(6)]
    sent = [event for k in range(10) for one in stays for event in events(one)[k : k + 1]]
    found = await way(sent)
    expected = evaluated(stays, label, last_only=False)
    for number, one in enumerate(stays):
        got = [risks(found[f"{one.patient_id}/e{k}"])[label] for k in range(10)]
        assert got == pytest.approx(expected[number * 10 : number * 10 + 10], abs=CLOSE)
        assert len({round(p, 6) for p in got}) > 5  # the comparison is of something


@pytest.mark.parametrize("way", [live, offline])
@pytest.mark.parametrize("seed", range(4))
async def test_vital_signs_that_come_late(way, seed):
    """After each arrival the risk is that of everything that has arrived, in order of event time."""
    one, random = stay("late", seed), np.random.default_rng(seed)
    arrival = np.argsort(np.arange(10) + random.uniform(0, 4, 10)).tolist()
    assert arrival != sorted(arrival)
    sent = events(one)
    found = await way([sent[k] for k in arrival])
    for count in range(1, 11):
        rows = sorted(arrival[:count])
        so_far = Stay("late", one.time_h[rows], one.values[rows], one.label[rows], one.age_years, one.male)
        (expected,) = evaluated([so_far], "sepsis_6h", last_only=True)
        assert risks(found[f"late/e{arrival[count - 1]}"])["sepsis_6h"] == pytest.approx(expected, abs=CLOSE)


@pytest.mark.parametrize("way", [live, offline])
async def test_notes(way):
    found = await way([note(f"p{i}", 5 * i, text, event_id=f"n{i}") for i, text in enumerate(TEXTS)])
    labels = bundle().manifests["notes"].labels
    judged = NoteSet(TEXTS, [labels] * len(TEXTS), [str(i) for i in range(len(TEXTS))])
    asked = notes_questions(bundle(), judged, ORGANS)
    by_label = {question.name: question.probability for question in asked if isinstance(question, Question)}
    for i in range(len(TEXTS)):
        shown = found[f"p{i}/n{i}"]["findings"]
        assert len(shown) == 3
        for finding in shown:
            assert finding["probability"] == pytest.approx(by_label[finding["label"]][i], abs=CLOSE)


def film(seed: int) -> tuple[np.ndarray, bytes]:
    """Something with light and dark places, and its PNG."""
    random = np.random.default_rng(seed)
    small = random.integers(20, 220, (7, 7), np.uint8)
    pixels = np.array(Image.fromarray(small).resize((224, 224), Image.Resampling.BICUBIC))
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return pixels, out.getvalue()


def film_event(patient: str, minute: float, png: bytes) -> dict:
    inline = {"data": base64.b64encode(png).decode(), "media_type": "image/png"}
    at = (START + timedelta(minutes=minute)).isoformat()
    return {"schema_version": "1.0", "event_id": "i", "patient_id": patient, "source": "pacs", "event_time": at,
            "image": inline}  # fmt: skip


@pytest.mark.parametrize("way", [live, offline])
async def test_films(way):
    made = [film(seed) for seed in range(3)]
    found = await way([film_event(f"p{i}", i, png) for i, (_, png) in enumerate(made)])
    logits = imaging.encode(bundle().imaging, np.stack([pixels for pixels, _ in made])).logits.numpy()
    manifest = bundle().manifests["imaging"]
    calibrated = calibrated_logits(logits, manifest.labels, manifest.calibration)
    expected = torch.softmax(torch.from_numpy(calibrated), 1).tolist()
    for i in range(3):
        shown = {each["label"]: each["probability"] for each in found[f"p{i}/i"]["findings"]}
        assert shown == pytest.approx(dict(zip(manifest.labels, expected[i], strict=True)), abs=CLOSE)


@pytest.mark.parametrize("way", [live, offline])
async def test_the_fused_risk_with_note_and_film(way):
    """The same whether embeddings come through the patient's context or from evaluation's arrays."""
    one, (pixels, png) = stay("p", 3), film(0)
    *before, last = events(one)
    minute = float(one.time_h[-1]) * 60 - 30
    found = await way([
        note("p", minute, TEXTS[0], event_id="n"),
        film_event("p", minute, png), *before, last,
    ])  # fmt: skip
    body = found["p/e9"]
    (probability,) = evaluated([one], "sepsis_6h", last_only=True)
    logit = np.log(probability / (1 - probability)).astype(np.float32)
    text = notes.encode(bundle().notes, bundle().tokenizer, [TEXTS[0]]).embedding.numpy()
    image = imaging.encode(bundle().imaging, pixels[None]).embedding.numpy()
    nothing = np.zeros(1, np.float32)
    cohort = Cohort(logit[None], nothing, text, image, nothing, np.array(["p"]))
    fused, shares, _ = scores(bundle(), cohort, Case("made", (True, True, True), (0.0, 0.5, 0.5)))
    assert risks(body)["deterioration"] == pytest.approx(float(probabilities(fused)[0]), abs=CLOSE)
    told = body["explanation"]["modality_shares"]
    assert [told[name] for name in ("vitals", "notes", "imaging")] == pytest.approx(shares[0].tolist(), abs=2e-3)


@pytest.mark.parametrize("way", [live, offline])
async def test_alerts(way):
    """`wardstream evaluate policy` tells of whole stays what the worker tells of their events."""
    stays = [stay(f"p{seed}", seed, length=20) for seed in range(12)]
    sent = [event for k in range(20) for one in stays for event in events(one)[k : k + 1]]
    found = await way(sent)
    for one, seen in zip(stays, see(stays, bundle(), Catalogue.load()), strict=True):
        told = tell(facts_of(seen, Voice.both, declared=False), Policy())
        changes = [found[f"{one.patient_id}/e{k}"]["alert"]["state"] for k in range(20)]
        hours = milliseconds(one.time_h) / 3_600_000
        assert [hours[k] for k in range(20) if changes[k] == "raise"] == told.raised_h
        assert [hours[k] for k in range(20) if changes[k] in {"raise", "update"}] == told.told_h
    everything = {body["alert"]["state"] for body in found.values()}
    assert {"raise", "update", "none"} <= everything  # the comparison is of something
