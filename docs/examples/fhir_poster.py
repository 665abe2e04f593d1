"""Writes every recommendation to a FHIR R4 server as RiskAssessment, DetectedIssue and CommunicationRequest.

    KAFKA_BOOTSTRAP_SERVERS=localhost:9092 FHIR_BASE_URL=https://fhir.example/r4 \
    PATIENT_SYSTEM=https://hospital.example/mrn python fhir_poster.py

Every write is a conditional update by identifier (recommendation or alert), so that a repeat changes nothing. Offsets
are committed when the server has taken what the records gave. It must offer conditional updates.

It remembers which requests are on hold because somebody has answered: when an answer is taken back, they ask again.
What it does not follow: an answer that was written before a restart and taken back after it. The alert's next `update`
or `clear` mends that.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime
from typing import Any

from aiohttp import ClientError, ClientResponseError, ClientSession, ClientTimeout
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from topics.projections.communication_request import communication_request
from topics.projections.detected_issue import detected_issue
from topics.projections.fhir import Systems
from topics.projections.reading import read_json
from topics.projections.risk_assessment import risk_assessment, superseded
from topics.recommendation import RecommendationEvent

TOPIC = "patient.recommendations"
FHIR_JSON = {"Content-Type": "application/fhir+json"}
TIMEOUT = ClientTimeout(total=30)


class Poster:
    """What is to be written."""

    def __init__(
        self, session: ClientSession, base: str, systems: Systems, *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC), pause_s: float = 2.0,
    ) -> None:  # fmt: skip
        self._session, self._base, self._systems = session, base.rstrip("/"), systems
        self._now, self._pause_s = now, pause_s
        self._revisions: dict[str, int] = {}
        self._on_hold: set[str] = set()

    async def take(self, record: ConsumerRecord) -> None:
        """Write what one record gives."""
        if record.value is None:
            return
        try:
            event = read_json(record.value)
        except ValueError:  # its text may repeat the patient's data
            print(f"not a recommendation: partition {record.partition} offset {record.offset}", file=sys.stderr)
            return
        for resource in self.resources(event):
            await self._put(resource)

    def resources(self, event: RecommendationEvent) -> list[dict[str, Any]]:
        """In the order in which they are to be written: what is withdrawn comes first."""
        made = [*superseded(event, self._systems), risk_assessment(event, self._systems)]
        alert = event.alert
        if alert.alert_id is None or alert.revision < self._revisions.get(alert.alert_id, 0):
            return made  # a repeat of an older revision
        self._revisions[alert.alert_id] = alert.revision
        answered = alert.alert_id in self._on_hold
        issue = detected_issue(event, self._systems, answered=answered)
        request = communication_request(event, self._systems, answered=answered)
        over = alert.expires_at is not None and self._now() >= alert.expires_at
        if request is not None and request["status"] == "active" and over:
            request = None  # too late to tell anybody
        if request is not None:
            note = self._on_hold.add if request["status"] == "on-hold" else self._on_hold.discard
            note(alert.alert_id)
        if alert.state == "clear":
            del self._revisions[alert.alert_id]
        return made + [each for each in (issue, request) if each is not None]

    async def _put(self, resource: dict[str, Any]) -> None:
        """Until it is written; raises where the server refuses it for good, and nothing is committed."""
        (ident,) = resource["identifier"]
        url, which = f"{self._base}/{resource['resourceType']}", {"identifier": f"{ident['system']}|{ident['value']}"}
        while True:
            try:
                async with self._session.put(
                    url, params=which, json=resource, headers=FHIR_JSON, timeout=TIMEOUT, raise_for_status=True
                ):
                    return
            except ClientResponseError as error:
                if error.status < 500 and error.status not in (409, 429):
                    raise
            except (ClientError, TimeoutError):
                pass
            print("the FHIR server does not answer, trying again", file=sys.stderr)
            await asyncio.sleep(self._pause_s)


def setting(name: str) -> str:
    """The environment variable; ends the program in words where it is missing."""
    return os.environ.get(name) or sys.exit(f"{name} is not set: see the first lines of the program")


async def main() -> None:
    """Read, write, commit."""
    servers, url = setting("KAFKA_BOOTSTRAP_SERVERS"), setting("FHIR_BASE_URL")
    consumer = AIOKafkaConsumer(
        TOPIC, bootstrap_servers=servers, group_id="fhir-poster", enable_auto_commit=False, auto_offset_reset="earliest"
    )
    systems = Systems(os.environ.get("PATIENT_SYSTEM"), os.environ.get("ENCOUNTER_SYSTEM"))
    async with ClientSession() as session, AsyncExitStack() as clients:
        poster = Poster(session, url, systems)
        clients.push_async_callback(consumer.stop)  # also where the start fails
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that is told in one line, below
        await consumer.start()
        logging.getLogger("aiokafka").setLevel(logging.ERROR)
        while True:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    await poster.take(record)
            with suppress(CommitFailedError, IllegalStateError):  # reassigned meanwhile: the other reads it again
                await consumer.commit()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KafkaError as error:
        sys.exit(f"Kafka: {type(error).__name__}. Is KAFKA_BOOTSTRAP_SERVERS right, and are Kafka and {TOPIC} there?")
    except ClientResponseError as error:
        sys.exit(f"the FHIR server refuses a resource (status {error.status}): nothing further was committed")
    except KeyboardInterrupt:
        sys.exit(130)
