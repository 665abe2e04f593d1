"""`wardstream topics`: create, list and describe the topics of the contract.

Decides what a topic is created with. An existing topic is never changed: more partitions would move patients and
break their order, so differences are told and left to the operator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import typer
from rich.table import Table

from workers.cli.errors import UserError
from workers.cli.shared import load_settings, out, run
from workers.settings import Settings

if TYPE_CHECKING:
    from topics.catalogue import Topic
    from workers.cli.cluster import TopicState

app = typer.Typer(no_args_is_help=True, help="Create, list and describe the topics of the contract.")

HOUR_MS: Final = 3_600_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """A topic as the settings want it."""

    name: str
    partitions: int
    replicas: int
    configs: dict[str, str]


def wanted(settings: Settings, topic: Topic) -> Wanted:
    """Partitions, replicas and broker settings of one topic of the contract."""
    from topics.catalogue import full_name

    configs: dict[str, str] = {"cleanup.policy": topic.cleanup}
    if topic.cleanup == "delete":
        hours = settings.topic_retention_h if topic.retention_h is None else topic.retention_h
        configs["retention.ms"] = str(round(hours * HOUR_MS))
    if topic.keep_h is not None:
        configs["min.compaction.lag.ms"] = str(round(topic.keep_h * HOUR_MS))
    if settings.topic_replication >= 3:
        configs["min.insync.replicas"] = "2"  # an acknowledged record survives the loss of one broker
    return Wanted(
        full_name(settings.topic_prefix, topic.name),
        topic.partitions or settings.topic_partitions,
        settings.topic_replication,
        configs,
    )


async def apply_topics(settings: Settings) -> list[str]:
    """Create what is missing. Returns a line a topic, for people.

    Raises:
        UserError: The broker refused to create a topic.
    """
    from topics.catalogue import TOPICS
    from workers.cli import cluster

    lines = []
    async with cluster.admin(settings) as client:
        existing = await cluster.existing_topics(client)
        for topic in (wanted(settings, topic) for topic in TOPICS):
            found = existing.get(topic.name)
            if found is None:
                await _create(client, topic)
                lines.append(f"created  {topic.name}  {topic.partitions} partitions")
            elif found.partitions != topic.partitions:
                say = f"has {found.partitions} partitions, settings say {topic.partitions}; left as is"
                lines.append(f"differs  {topic.name}  {say}")
            else:
                lines.append(f"exists   {topic.name}  {found.partitions} partitions")
    return lines


async def _create(client: Any, topic: Wanted) -> None:
    """Create one topic; another process may have been quicker."""
    from aiokafka.admin import NewTopic
    from aiokafka.errors import TopicAlreadyExistsError, for_code

    request = NewTopic(topic.name, topic.partitions, topic.replicas, topic_configs=topic.configs)
    answer = await client.create_topics([request])
    for name, code, *rest in answer.topic_errors:
        if code and code != TopicAlreadyExistsError.errno:
            why = next((str(part) for part in rest if part), for_code(code).__name__)
            raise UserError(f"Kafka did not create {name}: {why} (see WARDSTREAM_TOPIC_REPLICATION, _PARTITIONS)")


@app.command("apply")
def apply() -> None:
    """Create the topics that are missing. Safe to repeat.

    Example:  WARDSTREAM_TOPIC_PARTITIONS=12 WARDSTREAM_TOPIC_REPLICATION=3 wardstream topics apply
    """
    for line in run(apply_topics(load_settings())):
        typer.echo(line)


@app.command("list")
def list_() -> None:
    """Show every topic of the contract and whether the broker has it.

    Example:  wardstream topics list
    """
    from topics.catalogue import TOPICS, full_name
    from workers.cli import cluster

    settings = load_settings()

    async def look() -> dict[str, TopicState]:
        async with cluster.admin(settings) as client:
            return await cluster.existing_topics(client)

    existing = run(look())
    table = Table("topic", "kind", "partitions", "replicas", box=None, pad_edge=False)
    for topic in TOPICS:
        name = full_name(settings.topic_prefix, topic.name)
        found = existing.get(name)
        state = (str(found.partitions), str(found.replicas)) if found else ("missing", "-")
        table.add_row(name, str(topic.kind), *state)
    out.print(table)


@app.command("describe")
def describe(topic: str = typer.Argument(help="Name without prefix, such as patient.vitals.")) -> None:
    """Show one topic: partitions, replicas and the settings that matter, wanted and found.

    Example:  wardstream topics describe patient.vitals
    """
    from topics.catalogue import TOPICS

    settings = load_settings()
    named = next((each for each in TOPICS if each.name == topic), None)
    if named is None:
        raise UserError(f"the contract has no topic {topic}; it has {', '.join(each.name for each in TOPICS)}")
    want = wanted(settings, named)
    state, configs = run(_describe(settings, want))
    table = Table("", "found", "wanted", box=None, pad_edge=False, title=want.name, title_justify="left")
    table.add_row("partitions", str(state.partitions), str(want.partitions))
    table.add_row("replicas", str(state.replicas), str(want.replicas))
    for key, value in want.configs.items():
        table.add_row(key, configs.get(key, "(broker does not say)"), value)
    out.print(table)


async def _describe(settings: Settings, want: Wanted) -> tuple[TopicState, dict[str, str]]:
    """The topic's state and its broker settings."""
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

    from workers.cli import cluster

    state = (await cluster.require_topics(settings, want.name))[want.name]
    async with cluster.admin(settings) as client:
        answers = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, want.name)])
    entries = [entry for answer in answers for resource in answer.resources for entry in (resource[4] or ())]
    return state, {entry[0]: str(entry[1]) for entry in entries}
