"""The example consumers of the docs, against a fake HTTP server and hand-made records."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aiohttp import ClientResponseError, ClientSession, web
from aiohttp.test_utils import TestServer
from aiokafka import ConsumerRecord, TopicPartition

from tests.unit.projections.published import cleared, published
from topics.feedback import FeedbackEvent
from topics.projections.fhir import Systems

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
NOON = datetime(2026, 3, 1, 7, 16, tzinfo=UTC)  # a minute after the example's alert
ALERT_ID = published()["alert"]["alert_id"]
TOLD = datetime(2026, 3, 1, 7, 15, tzinfo=UTC)
FIRST, SECOND = ("trigger", "critical care outreach"), ("escalate", "charge nurse")
ANSWERED = {"state": "suppress", "answered_at": "2026-03-01T07:31:00Z", "ack_by": None, "escalation": []}
BACK = published({"state": "suppress", "reason": "already_raised"})
SNOOZED = "2026-03-01T08:00:00Z"
NOWHERE = "127.0.0.1:1"  # a port that nobody listens at
NEEDED = ("KAFKA_BOOTSTRAP_SERVERS", "WEBHOOK_URL", "FHIR_BASE_URL")
THIRD = published()["alert"]["escalation"][2]["role"]
PARTITION = TopicPartition("patient.recommendations", 0)


def program(name: str) -> ModuleType:
    """An example as a module; nothing of it runs at import."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGER, POSTER = program("pager_webhook"), program("fhir_poster")


class Server:
    """Answers every request with the next status of `answers`, then 200; keeps what it accepted."""

    def __init__(self, *answers: int, said: dict[str, Any] | None = None) -> None:
        self.answers, self.said = list(answers), said
        self.got: list[tuple[str, str, Any]] = []

    async def handle(self, request: web.Request) -> web.Response:
        status = self.answers.pop(0) if self.answers else 200
        if status == 200:
            self.got.append((request.method, str(request.rel_url), await request.json()))
            if self.said is not None:
                return web.json_response(self.said)
        return web.Response(status=status)

    @asynccontextmanager
    async def running(self):
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        async with TestServer(app) as server, ClientSession() as session:
            yield session, str(server.make_url("/in"))


class Clock:
    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def record(value: dict[str, Any] | bytes, offset: int = 0) -> ConsumerRecord:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    state = "raise" if isinstance(value, bytes) else value["alert"]["state"]
    headers = (("wardstream-alert-state", state.encode()),)
    return ConsumerRecord(*PARTITION, offset, 0, 0, None, raw, None, 0, len(raw), headers)


class Paging:
    """A pager against a fake webhook."""

    @asynccontextmanager
    async def pager(self, server: Server, clock: Clock | None = None, written: list[FeedbackEvent] | None = None):
        async def answer(event: FeedbackEvent) -> None:
            if written is not None:
                written.append(event)

        async with server.running() as (session, url):
            yield PAGER.Pager(session, url, answer, now=clock or Clock(), pause_s=0)

    async def asked(self, server: Server, clock: Clock, pager: Any, *minutes: int) -> list[tuple[str, str | None]]:
        """Who was asked, after ticks at these minutes past the telling."""
        for minute in minutes:
            clock.now = TOLD + timedelta(minutes=minute)
            await pager.tick()
        return [(body["event"], body["role"]) for *_, body in server.got]


class TestPager(Paging):
    async def sent(self, *events: dict[str, Any], now: datetime = NOON) -> list[tuple[str, int]]:
        server = Server()
        async with self.pager(server, Clock(now)) as pager:
            for event in events:
                await pager.take(record(event))
        return [(body["event"], body["revision"]) for _, _, body in server.got]

    async def test_pages_what_is_raised_or_worse_and_takes_back_what_is_cleared(self):
        worse = published({"state": "update", "revision": 2})
        over = cleared()
        over["alert"]["revision"] = 3
        assert await self.sent(published(), worse, over) == [("trigger", 1), ("trigger", 2), ("resolve", 3)]

    async def test_says_who_how_urgent_and_until_when(self):
        server = Server()
        async with self.pager(server) as pager:
            await pager.take(record(published()))
        ((method, path, body),) = server.got
        assert (method, path) == ("POST", "/in")
        assert body["key"] == ALERT_ID
        assert (body["tier"], body["patient_id"], body["unit"]) == ("critical", "example-patient-17", "ward-7")
        assert body["text"].startswith("Critical alert: NEWS2 10")
        assert body["ack_by"] == "2026-03-01T07:30:00+00:00"

    async def test_asks_the_next_role_at_each_step_until_somebody_answers(self):
        server, clock = Server(), Clock()
        async with self.pager(server, clock) as pager:
            await pager.take(record(published()))
            assert await self.asked(server, clock, pager, 14, 15, 16) == [FIRST, SECOND]
            await pager.take(record(published({**ANSWERED}), 1))
            assert await self.asked(server, clock, pager, 31, 400) == [FIRST, SECOND]
            assert pager.waiting == {}

    async def test_a_snooze_asks_again_when_it_is_over(self):
        server, clock = Server(), Clock()
        async with self.pager(server, clock) as pager:
            await pager.take(record(published()))
            await pager.take(record(published({**ANSWERED, "snoozed_until": "2026-03-01T08:00:00Z"}), 1))
            assert await self.asked(server, clock, pager, 31) == [FIRST]
            assert await self.asked(server, clock, pager, 45, 46) == [FIRST, ("escalate", FIRST[1])]

    async def test_a_snooze_that_is_shown_again_and_again_asks_once(self):
        server, clock = Server(), Clock()
        snoozed = published({**ANSWERED, "snoozed_until": "2026-03-01T08:00:00Z"})
        async with self.pager(server, clock) as pager:
            await pager.take(record(published()))
            for offset in (1, 2, 3):
                await pager.take(record(snoozed, offset))
            assert await self.asked(server, clock, pager, 31, 45, 46) == [FIRST, ("escalate", FIRST[1])]

    async def test_an_answer_taken_back_asks_everybody_whose_time_has_come_at_once_and_the_rest_at_theirs(self):
        server, clock = Server(), Clock()
        async with self.pager(server, clock) as pager:
            await pager.take(record(published()))
            await pager.take(record(published({**ANSWERED}), 1))
            assert await self.asked(server, clock, pager, 17) == [FIRST]
            assert pager.waiting == {}
            await pager.take(record(BACK, 2))
            again = [FIRST, ("escalate", FIRST[1]), SECOND]
            assert await self.asked(server, clock, pager, 18, 29) == again
            assert await self.asked(server, clock, pager, 30, 31) == [*again, ("escalate", THIRD)]

    async def test_a_snooze_taken_back_does_not_wait_for_its_end(self):
        server, clock = Server(), Clock()
        async with self.pager(server, clock) as pager:
            await pager.take(record(published()))
            await pager.take(record(published({**ANSWERED, "snoozed_until": "2026-03-01T08:00:00Z"}), 1))
            await pager.take(record(BACK, 2))
            assert await self.asked(server, clock, pager, 10, 14) == [FIRST, ("escalate", FIRST[1])]

    async def test_the_only_role_is_asked_once_when_an_answer_is_taken_back(self):
        server, clock, alone = Server(), Clock(), {"escalation": published()["alert"]["escalation"][:1]}
        async with self.pager(server, clock) as pager:
            await pager.take(record(published(alone)))
            await pager.take(record(published({**ANSWERED}), 1))
            await pager.take(record(published({"state": "suppress", **alone}), 2))
            assert await self.asked(server, clock, pager, 40, 41) == [FIRST, ("escalate", FIRST[1])]

    @pytest.mark.parametrize("last", [cleared(), published({"state": "update", "revision": 2})])
    async def test_what_was_answered_is_forgotten_when_the_alert_is_cleared_or_told_anew(self, last):
        server, clock = Server(), Clock()
        async with self.pager(server, clock) as pager:
            for offset, value in enumerate([published(), published({**ANSWERED}), last]):
                await pager.take(record(value, offset))
            assert pager.answered == {}

    async def test_an_answer_taken_back_after_the_alert_has_expired_asks_nobody(self):
        server, clock = Server(), Clock()
        async with self.pager(server, clock) as pager:
            await pager.take(record(published()))
            await pager.take(record(published({**ANSWERED}), 1))
            assert await self.asked(server, clock, pager, 481) == [FIRST]
            assert pager.answered == {}
            await pager.take(record(BACK, 2))
            assert await self.asked(server, clock, pager, 482) == [FIRST]

    async def test_after_a_crash_what_was_taken_back_is_read_again_from_its_answer_on(self):
        async with self.pager(Server()) as pager:
            for offset, value in ((5, published()), (7, published({**ANSWERED})), (9, BACK)):
                await pager.take(record(value, offset))
            assert pager.done({PARTITION: 10}) == {PARTITION: 7}
        server, clock = Server(), Clock()
        async with self.pager(server, clock) as pager:
            for offset, value in ((7, published({**ANSWERED})), (9, BACK)):
                await pager.take(record(value, offset))
            assert await self.asked(server, clock, pager, 10) == [("escalate", FIRST[1])]

    @pytest.mark.parametrize(
        ("at", "asked"),
        [("2026-03-01T07:16:59Z", []), ("2026-03-01T07:17:00Z", [("escalate", FIRST[1])]), (None, [])],
    )
    async def test_an_answer_of_the_webhook_that_no_result_shows_a_minute_later_did_nothing(self, at, asked):
        server, clock, written = Server(said={"outcome": "acknowledged", "actor_role": "nurse"}), Clock(), []
        later = BACK | {"timing": BACK["timing"] | {"published_at": at}}
        async with self.pager(server, clock, written) as pager:
            await pager.take(record(published()))
            await pager.take(record(later, 1))
            assert await self.asked(server, clock, pager, 3) == [FIRST, *asked]

    async def test_an_alert_whose_end_has_moved_is_asked_about_until_the_new_one(self):
        server, clock = Server(), Clock()
        async with self.pager(server, clock) as pager:
            await pager.take(record(published({"expires_at": "2026-03-01T07:20:00Z"})))
            await pager.take(record(published({"state": "suppress", "expires_at": "2026-03-01T15:20:00Z"}), 1))
            assert await self.asked(server, clock, pager, 15) == [FIRST, SECOND]

    async def test_an_answer_of_the_webhook_is_written_back_and_ends_the_asking(self):
        server, clock, written = Server(said={"outcome": "acknowledged", "actor_role": "nurse"}), Clock(), []
        async with self.pager(server, clock, written) as pager:
            await pager.take(record(published()))
            assert await self.asked(server, clock, pager, 15, 30) == [FIRST]
        (made,) = written
        assert (made.outcome, made.alert_id, made.actor_role) == ("acknowledged", ALERT_ID, "nurse")
        assert made.patient_id == "example-patient-17"

    async def test_what_is_no_answer_is_left_out_and_the_asking_goes_on(self, capsys):
        server, clock, written = Server(said={"outcome": "secret"}), Clock(), []
        async with self.pager(server, clock, written) as pager:
            await pager.take(record(published()))
            assert await self.asked(server, clock, pager, 15) == [FIRST, SECOND]
        assert written == []
        assert "secret" not in capsys.readouterr().err

    @pytest.mark.parametrize("state", ["none", "suppress"])
    async def test_leaves_what_is_not_news(self, state):
        assert await self.sent(published({"state": state})) == []

    async def test_never_pages_a_stale_or_expired_alert(self):
        assert await self.sent(published({"stale": True})) == []
        assert await self.sent(published(), now=NOON + timedelta(hours=9)) == []

    async def test_an_older_revision_does_not_follow_a_newer_one(self):
        assert await self.sent(published({"state": "update", "revision": 2}), published()) == [("trigger", 2)]

    async def test_asks_the_only_role_again_once(self):
        server, clock = Server(), Clock()
        async with self.pager(server, clock) as pager:
            await pager.take(record(published({"escalation": published()["alert"]["escalation"][:1]})))
            await pager.tick()
            assert [body["event"] for *_, body in server.got] == ["trigger"]
            clock.now += timedelta(minutes=15)
            await pager.tick()
            await pager.tick()
        assert [body["event"] for *_, body in server.got] == ["trigger", "escalate"]

    @pytest.mark.parametrize("change", [{"ack_by": None, "escalation": []}, {"expires_at": "2026-03-01T07:20:00Z"}])
    async def test_does_not_ask_again_without_a_deadline_or_after_the_alert_has_expired(self, change):
        server, clock = Server(), Clock()
        async with self.pager(server, clock) as pager:
            await pager.take(record(published(change)))
            clock.now += timedelta(hours=1)
            await pager.tick()
        assert [body["event"] for *_, body in server.got] == ["trigger"]

    async def test_commits_no_record_whose_alert_still_waits(self):
        clock = Clock()
        async with self.pager(Server(), clock) as pager:
            await pager.take(record(published({"state": "none"}), 4))
            assert pager.done({PARTITION: 5}) == {PARTITION: 5}
            await pager.take(record(published(), 5))
            await pager.take(record(published({"state": "none"}), 6))
            assert pager.done({PARTITION: 7}) == {PARTITION: 5}
            clock.now += timedelta(minutes=30)
            await pager.tick()
            assert pager.done({PARTITION: 7}) == {PARTITION: 7}

    async def test_forgets_what_another_member_watches(self):
        async with self.pager(Server()) as pager:
            await pager.take(record(published(), 5))
            await pager.take(record(published({**ANSWERED, "alert_id": "another"}), 6))
            assert (len(pager.waiting), len(pager.answered)) == (1, 1)
            await pager.on_partitions_assigned([TopicPartition("patient.recommendations", 1)])
            assert pager.waiting == pager.answered == {}

    async def test_tries_again_until_the_webhook_takes_it(self):
        server = Server(503, 429)
        async with self.pager(server) as pager:
            await pager.take(record(published()))
        assert [body["event"] for *_, body in server.got] == ["trigger"]

    async def test_stops_uncommitted_where_the_webhook_refuses_for_good(self):
        async with self.pager(Server(400)) as pager:
            with pytest.raises(ClientResponseError):
                await pager.take(record(published()))

    async def test_a_record_that_cannot_be_read_is_named_without_its_values(self, capsys):
        async with self.pager(Server()) as pager:
            await pager.take(record(b'{"patient_id": "secret"}', 9))
        assert capsys.readouterr().err == "not a recommendation: partition 0 offset 9\n"


class TestPagerWithABacklog(Paging):
    """What its partitions hold when it starts is read first; only then are people paged."""

    async def caught_up(self, server: Server, clock: Clock, *values: dict[str, Any]) -> list[tuple[str, str | None]]:
        """Who is asked by the backlog, the moment after it has been read."""
        async with self.late(server, clock, *values):
            return [(body["event"], body["role"]) for *_, body in server.got]

    @asynccontextmanager
    async def late(self, server: Server, clock: Clock, *values: dict[str, Any]):
        async with self.pager(server, clock) as pager:
            await pager.on_partitions_assigned([PARTITION])
            for offset, value in enumerate(values):
                await pager.take(record(value, offset))
                await pager.tick()
            assert [body["event"] for *_, body in server.got if body["event"] != "resolve"] == []
            await pager.catch_up(PARTITION)
            await pager.tick()
            yield pager

    @pytest.mark.parametrize("until", [None, "2026-03-01T08:30:00Z"])
    async def test_an_alert_that_was_answered_further_on_pages_nobody(self, until):
        server, clock = Server(), Clock(TOLD + timedelta(minutes=40))
        answered = published({**ANSWERED, "snoozed_until": until})
        assert await self.caught_up(server, clock, published(), answered, answered) == []

    async def test_a_snooze_of_the_backlog_asks_again_when_it_is_over(self):
        server, clock = Server(), Clock(TOLD + timedelta(minutes=12))
        async with self.late(server, clock, published(), published({**ANSWERED, "snoozed_until": SNOOZED})) as pager:
            assert pager.done({PARTITION: 2}) == {PARTITION: 0}
            assert await self.asked(server, clock, pager, 44, 45) == [("escalate", FIRST[1])]

    async def test_an_alert_that_was_cleared_further_on_is_only_taken_back(self):
        clock = Clock(TOLD + timedelta(minutes=40))
        assert await self.caught_up(Server(), clock, published(), cleared()) == [("resolve", None)]

    async def test_what_still_stands_is_paged_once_as_it_stands_now_with_everybody_whose_time_has_come(self):
        worse = published({"state": "update", "revision": 2})
        same = published({"state": "suppress", "revision": 2})
        clock = Clock(TOLD + timedelta(minutes=20))
        assert await self.caught_up(Server(), clock, published(), worse, same, same) == [FIRST, SECOND]

    async def test_an_answer_taken_back_in_the_backlog_pages(self):
        clock = Clock(TOLD + timedelta(minutes=12))
        assert await self.caught_up(Server(), clock, published(), published({**ANSWERED}), BACK) == [FIRST]

    async def test_an_answer_of_the_backlog_that_is_taken_back_later_asks_again(self):
        server, clock = Server(), Clock(TOLD + timedelta(minutes=12))
        async with self.late(server, clock, published(), published({**ANSWERED})) as pager:
            await pager.take(record(BACK, 2))
            assert await self.asked(server, clock, pager, 13, 15) == [("escalate", FIRST[1]), SECOND]

    async def test_an_alert_that_has_expired_or_is_stale_pages_nobody(self):
        late = Clock(NOON + timedelta(hours=9))
        assert await self.caught_up(Server(), late, published()) == []
        assert await self.caught_up(Server(), Clock(), published({"stale": True})) == []

    async def test_an_alert_whose_end_has_moved_on_is_paged(self):
        clock = Clock(TOLD + timedelta(minutes=12))
        moved = published({"state": "suppress", "expires_at": "2026-03-01T15:20:00Z"})
        assert await self.caught_up(Server(), clock, published({"expires_at": "2026-03-01T07:20:00Z"}), moved) == [
            FIRST
        ]

    async def test_of_two_alerts_with_one_dedupe_key_the_newer_is_paged(self):
        server, newer = Server(), "0" * 8 + ALERT_ID[8:]
        await self.caught_up(server, Clock(), published(), published({"alert_id": newer}))
        assert [body["key"] for *_, body in server.got] == [newer]

    async def test_read_again_when_the_group_shares_out_anew_nobody_is_paged_twice(self):
        server, clock = Server(), Clock()
        answered = published({**ANSWERED, "alert_id": "another", "dedupe_key": "another"})
        told = published({"alert_id": "another", "dedupe_key": "another"})
        async with self.late(server, clock, published(), told, answered) as pager:
            await pager.on_partitions_assigned([PARTITION])
            for offset, value in enumerate([published(), told, answered]):
                await pager.take(record(value, offset))
            await pager.catch_up(PARTITION)
            assert await self.asked(server, clock, pager, 2, 15) == [FIRST, SECOND]

    async def test_a_partition_that_is_read_live_is_not_held_up_by_one_that_is_behind(self):
        server, other = Server(), TopicPartition("patient.recommendations", 1)
        async with self.pager(server) as pager:
            await pager.on_partitions_assigned([PARTITION, other])
            await pager.catch_up(PARTITION)
            await pager.take(record(published()))
        assert [body["event"] for *_, body in server.got] == ["trigger"]


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("pager_webhook", {}, "KAFKA_BOOTSTRAP_SERVERS is not set"),
        ("pager_webhook", {"KAFKA_BOOTSTRAP_SERVERS": NOWHERE}, "WEBHOOK_URL is not set"),
        (
            "pager_webhook",
            {"KAFKA_BOOTSTRAP_SERVERS": NOWHERE, "WEBHOOK_URL": "http://x"},
            "Kafka: KafkaConnectionError",
        ),
        ("fhir_poster", {"KAFKA_BOOTSTRAP_SERVERS": NOWHERE}, "FHIR_BASE_URL is not set"),
        (
            "fhir_poster",
            {"KAFKA_BOOTSTRAP_SERVERS": NOWHERE, "FHIR_BASE_URL": "http://x"},
            "Kafka: KafkaConnectionError",
        ),
    ],
)
def test_what_is_missing_is_said_in_one_line(name, given, said):
    inherited = {key: value for key, value in os.environ.items() if key not in NEEDED}
    done = subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py"], env={**inherited, "PYTHONPATH": str(EXAMPLES.parents[1]), **given},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    (line,) = done.stderr.splitlines()
    assert line.startswith(said)
    assert done.returncode == 1


class TestPoster:
    @asynccontextmanager
    async def poster(self, server: Server, now: datetime = NOON):
        async with server.running() as (session, url):
            yield POSTER.Poster(session, url, Systems("urn:x:mrn"), now=Clock(now), pause_s=0)

    async def written(self, *events: dict[str, Any], now: datetime = NOON) -> list[tuple[str, str]]:
        server = Server()
        async with self.poster(server, now) as poster:
            for event in events:
                await poster.take(record(event))
        assert {method for method, *_ in server.got} <= {"PUT"}
        return [(body["resourceType"], body["status"]) for *_, body in server.got]

    async def test_upserts_by_identifier(self):
        server = Server()
        async with self.poster(server) as poster:
            await poster.take(record(published()))
        ids = published()["recommendation_id"], ALERT_ID, ALERT_ID
        assert [path for _, path, _ in server.got] == [
            f"/in/RiskAssessment?identifier=urn:wardstream:recommendation%7C{ids[0]}",
            f"/in/DetectedIssue?identifier=urn:wardstream:alert%7C{ids[1]}",
            f"/in/CommunicationRequest?identifier=urn:wardstream:alert%7C{ids[2]}",
        ]
        assert server.got[0][2]["subject"]["identifier"]["system"] == "urn:x:mrn"

    async def test_withdraws_what_is_superseded_first(self):
        found = await self.written(published({"state": "none"}, supersedes=["old"]))
        assert found == [("RiskAssessment", "entered-in-error"), ("RiskAssessment", "final")]

    async def test_a_clear_ends_the_issue_and_revokes_the_request(self):
        assert (await self.written(published(), cleared()))[-2:] == [
            ("DetectedIssue", "final"),
            ("CommunicationRequest", "revoked"),
        ]

    async def test_an_answer_puts_the_request_on_hold_and_taken_back_it_asks_again(self):
        answered = published({**ANSWERED})
        assert await self.written(published(), BACK, answered, BACK, BACK) == [
            ("RiskAssessment", "final"), ("DetectedIssue", "preliminary"), ("CommunicationRequest", "active"),
            ("RiskAssessment", "final"),
            ("RiskAssessment", "final"), ("DetectedIssue", "preliminary"), ("CommunicationRequest", "on-hold"),
            ("RiskAssessment", "final"), ("DetectedIssue", "preliminary"), ("CommunicationRequest", "active"),
            ("RiskAssessment", "final"),
        ]  # fmt: skip

    async def test_asks_nobody_for_a_stale_or_expired_alert(self):
        wanted = [("RiskAssessment", "final"), ("DetectedIssue", "preliminary")]
        assert await self.written(published({"stale": True})) == wanted
        assert await self.written(published(), now=NOON + timedelta(hours=9)) == wanted

    async def test_an_older_revision_does_not_follow_a_newer_one(self):
        found = await self.written(published({"state": "update", "revision": 2}), published())
        assert [kind for kind, _ in found].count("DetectedIssue") == 1

    async def test_tries_again_until_the_server_takes_it(self):
        server = Server(502, 409)
        async with self.poster(server) as poster:
            await poster.take(record(published({"state": "none"})))
        assert len(server.got) == 1

    async def test_stops_uncommitted_where_the_server_refuses_for_good(self):
        async with self.poster(Server(412)) as poster:
            with pytest.raises(ClientResponseError):
                await poster.take(record(published()))

    async def test_a_record_that_cannot_be_read_is_named_without_its_values(self, capsys):
        async with self.poster(Server()) as poster:
            await poster.take(record(b'{"patient_id": "secret"}', 9))
        assert capsys.readouterr().err == "not a recommendation: partition 0 offset 9\n"
