"""The command line as users run it, on real brokers: topics, producers, consumers, dead letters, doctor, demo."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import orjson
import pytest
from rich.console import Console

from tests.servers import Broker, EmbeddedRedis, free_port
from topics.recommendation import RecommendationEvent
from workers.cli import main
from workers.cli.feed import Pace
from workers.cli.topics import apply_topics
from workers.demo.show import Show, WorkerDiedError
from workers.demo.stage import WorkerProcess
from workers.settings import Settings
from workers.simulate import WardPlan, ward

pytestmark = pytest.mark.integration

FAKE_WORKER = [sys.executable, "-m", "tests.integration.fake_worker"]
Environment = dict[str, str]


class Done(NamedTuple):
    """What a command left."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def environment(broker: Broker, prefix: str, valkey: EmbeddedRedis) -> Environment:
    """Settings of every command of one test."""
    return {
        **broker.worker_environment(),
        "WARDSTREAM_TOPIC_PREFIX": prefix,
        "WARDSTREAM_TOPIC_PARTITIONS": "2",
        "WARDSTREAM_REDIS_URL": valkey.url,
        "WARDSTREAM_WEB_PORT": str(free_port()),
    }


@pytest.fixture
def settings(environment: Environment) -> Settings:
    """The same as an object."""
    return Settings(**fields(environment))


def fields(environment: Environment) -> dict[str, str]:
    return {name.removeprefix("WARDSTREAM_").lower(): value for name, value in environment.items()}


@pytest.fixture
def fake_worker(environment: Environment) -> Iterator[WorkerProcess]:
    """A started stand-in for the worker; topics exist."""
    assert wardstream(environment, "topics", "apply").returncode == 0
    with WorkerProcess(fields(environment), FAKE_WORKER) as worker:
        yield worker


def wardstream(environment: Environment, *arguments: str, answer: str = "") -> Done:
    """The console command in this process: the same `main`, without the seconds of starting Python each time."""
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(io.StringIO()) as out,
        redirect_stderr(io.StringIO()) as err,
    ):
        for name in [name for name in os.environ if name.startswith("WARDSTREAM_")]:
            patch.delenv(name)
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["wardstream", *arguments])
        patch.setattr(sys, "stdin", io.StringIO(answer))
        try:
            main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
    return Done(status, out.getvalue(), err.getvalue())


def simulate(environment: Environment) -> int:
    """Send a small ward; returns how many records went out."""
    done = wardstream(
        environment, "simulate", "--patients", "3", "--hours", "6", "--rate", "500", "--images", "none",
        "--poison", "0.3",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(done.stderr.rsplit("done: ", 1)[1].split()[0])


def dead_letters(environment: Environment) -> list[str]:
    done = wardstream(environment, "dead-letters", "list")
    assert done.returncode == 0, done.stderr
    return [line for line in done.stdout.splitlines() if "made for a test" in line]


def test_topics_are_created_once_listed_and_described(environment, prefix):
    first, second = wardstream(environment, "topics", "apply"), wardstream(environment, "topics", "apply")
    assert first.stdout.count("created ") == 8
    assert second.stdout.count("exists ") == 8
    more = wardstream(environment | {"WARDSTREAM_TOPIC_PARTITIONS": "5"}, "topics", "apply")
    assert f"differs  {prefix}patient.vitals  has 2 partitions, settings say 5; left as is" in more.stdout
    listed = wardstream(environment, "topics", "list").stdout
    assert f"{prefix}wardstream.control" in listed
    assert "missing" not in listed
    described = wardstream(environment, "topics", "describe", "patient.vitals")
    assert described.returncode == 0, described.stderr
    assert "cleanup.policy" in described.stdout


def test_a_ward_goes_in_results_come_out_and_dead_letters_can_be_sent_again(environment, fake_worker):
    sent = simulate(environment)
    letters = dead_letters(environment)
    assert letters
    tailed = wardstream(environment, "tail", "--json", "--from-start", "--count", str(sent - len(letters)))
    results = [RecommendationEvent.model_validate_json(line) for line in tailed.stdout.splitlines()]
    assert len({result.caused_by.event_id for result in results}) == sent - len(letters)
    which = letters[0].split()[0]
    shown = wardstream(environment, "dead-letters", "show", which).stdout
    assert "hidden; --reveal" in shown
    assert wardstream(environment, "dead-letters", "replay", which, answer="n\n").returncode == 1
    assert len(dead_letters(environment)) == len(letters)
    again = wardstream(environment, "dead-letters", "replay", which, answer="y\n")
    assert (again.returncode, again.stdout.strip()) == (0, "1 records sent back"), again.stderr
    assert len(dead_letters(environment)) == len(letters) + 1  # still unusable, it ends here again


def test_a_missing_topic_is_one_line_and_creates_nothing(environment):
    for command in (("tail",), ("simulate", "--rate", "10"), ("dead-letters", "list")):
        done = wardstream(environment, *command)
        assert done.returncode == 1
        assert "run `wardstream topics apply`" in done.stderr
        assert done.stderr.count("\n") == 1
    assert wardstream(environment, "topics", "list").stdout.count("missing") == 8


def test_the_doctor_finds_what_is_there_and_what_is_not(environment):
    before = wardstream(environment, "doctor")
    assert before.returncode == 1
    assert "ok   kafka     1 broker at" in before.stdout
    assert "FAIL topics    missing" in before.stdout
    assert "ok   redis     evicts nothing" in before.stdout
    assert "FAIL settings  the identity key" in before.stdout
    wardstream(environment, "topics", "apply")
    after = wardstream(environment | {"WARDSTREAM_IDENTITY_KEY": "a-key-of-our-own-000"}, "doctor")
    assert "ok   topics    input topics have 2 partitions each" in after.stdout
    assert "ok   models" in after.stdout
    assert after.returncode == 0, after.stdout


async def test_the_show_accounts_for_every_record(settings, fake_worker):
    show = perform(settings, fake_worker)
    await show.run()
    assert show.board.unanswered == 0
    assert show.board.sent == show.board.answered + show.board.dead_letters.total() > 100
    assert show.board.dead_letters.total() > 0
    assert show.board.latency_ms(0.5) < 10_000
    assert show.figures is not None
    assert show.figures.cache_hits == 3
    assert "raise critical" in show.console.file.getvalue()


async def test_the_show_ends_when_the_worker_dies(settings, environment, monkeypatch):
    await apply_topics(settings)
    monkeypatch.setenv("FAKE_WORKER_DIES_AFTER", "20")
    with WorkerProcess(fields(environment), FAKE_WORKER) as worker:
        with pytest.raises(WorkerDiedError):
            await perform(settings, worker).run()
        assert "ends as it was told" in worker.last_lines()


def perform(settings: Settings, worker: WorkerProcess) -> Show:
    start = datetime.now(UTC) - timedelta(hours=20)
    records = ward(WardPlan(1, 6, start, hours=12, images=False, poison=0.05))
    return Show(settings, worker, records, Pace(speed=12 * 3600 / 3), 20, Console(file=io.StringIO(), width=200))


def test_without_kafka_there_is_one_line_and_status_1():
    done = wardstream({"WARDSTREAM_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}"}, "topics", "list")
    assert done.returncode == 1
    assert done.stderr.startswith("wardstream: cannot reach Kafka")
    assert done.stderr.count("\n") == 1


def test_bad_settings_are_one_line_and_status_1():
    done = wardstream({"WARDSTREAM_DEVICE": "abacus"}, "settings")
    assert done.returncode == 1
    assert done.stderr.startswith("wardstream: WARDSTREAM_DEVICE: ")
    assert done.stderr.count("\n") == 1


def test_ctrl_c_ends_a_command_with_one_line_and_status_130(environment):
    import signal

    wardstream(environment, "topics", "apply")
    tail = subprocess.Popen(
        [sys.executable, "-m", "workers", "tail"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        env=os.environ | environment,
    )  # fmt: skip
    time.sleep(4)  # it says nothing while it waits, so there is nothing to wait for
    tail.send_signal(signal.SIGINT)
    _, said = tail.communicate(timeout=20)
    assert (tail.returncode, said) == (130, "interrupted\n")


def test_schemas_are_written_for_every_topic(tmp_path):
    done = wardstream({}, "schemas", "export", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert orjson.loads((tmp_path / "asyncapi.json").read_bytes())["asyncapi"].startswith("3.")
    assert len(list(tmp_path.glob("*.schema.json"))) >= 6


def test_help_loads_no_heavy_library():
    code = (
        "import sys; sys.argv = ['wardstream', '--help']\n"
        "from workers.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print('LOADED', sorted({'torch', 'faust', 'pyarrow', 'sklearn', 'numpy', 'aiokafka'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.rstrip().endswith("LOADED []")
    assert "dead-letters" in done.stdout
