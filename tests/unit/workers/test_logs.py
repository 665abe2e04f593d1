"""Logs: exceptions as type and place, libraries' messages as templates; never what a record said."""

from __future__ import annotations

import io
import json
import logging
import sys

import pytest
import structlog

from workers.logs import configure
from workers.settings import Settings

SECRET = "Ada Lovelace 1815"


@pytest.fixture
def configured(monkeypatch):
    """Configures logging in a format; gives a function that returns what went to stderr."""
    root, stderr = logging.getLogger(), io.StringIO()
    handlers, level, raising = root.handlers[:], root.level, logging.raiseExceptions

    def start(log_format: str):
        monkeypatch.setattr(sys, "stderr", stderr)
        configure(Settings(log_format=log_format, log_level="info"))
        return stderr.getvalue

    yield start
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.raiseExceptions = raising
    structlog.reset_defaults()


@pytest.fixture(params=["json", "console"])
def said(request, configured):
    return configured(request.param)


def fail() -> None:
    raise ValueError(f"cannot read {SECRET}")


class TestExceptions:
    def test_of_ours_leave_type_and_place_without_their_message(self, said):
        try:
            fail()
        except ValueError:
            structlog.get_logger("workers.x").exception("it_failed")
        text = said()
        assert "it_failed" in text
        assert "ValueError" in text
        assert "test_logs.py" in text
        assert SECRET not in text

    def test_of_libraries_leave_no_message_either(self, said):
        try:
            fail()
        except ValueError:
            logging.getLogger("some.library").exception("reading %s failed", SECRET)
        text = said()
        assert "reading %s failed" in text
        assert "ValueError" in text
        assert SECRET not in text

    def test_with_a_cause_leave_no_message_of_the_cause(self, said):
        try:
            try:
                fail()
            except ValueError as error:
                raise RuntimeError(SECRET) from error
        except RuntimeError:
            structlog.get_logger("workers.x").error("it_failed", exc_info=True)
        assert SECRET not in said()

    def test_in_groups_leave_no_message(self, said):
        group = ExceptionGroup(SECRET, [ValueError(SECRET)])
        structlog.get_logger("workers.x").error("it_failed", exc_info=group)
        text = said()
        assert "ExceptionGroup" in text
        assert SECRET not in text

    def test_logged_as_the_message_itself_leave_their_type(self, said):
        logging.getLogger("some.library").error(ValueError(SECRET))
        text = said()
        assert SECRET not in text
        assert "ValueError" in text


class TestLibraries:
    def test_arguments_of_a_message_are_left_out(self, said):
        logging.getLogger("some.library").warning("topic %s has %s", "t", SECRET)
        text = said()
        assert "topic %s has %s" in text
        assert SECRET not in text

    def test_those_of_the_kafka_client_are_kept_but_for_the_text_of_exceptions(self, said):
        logger = logging.getLogger("aiokafka.client")
        logger.error('Unable connect to "%s:%s": %s', "127.0.0.1", 9092, ConnectionRefusedError(SECRET))
        logger.error("Group Coordinator Request failed: %s", ValueError)
        logger.error("Unable to read %d of %s", {"a": SECRET}, [SECRET])
        text = said().replace('\\"', '"')
        assert 'Unable connect to "127.0.0.1:9092": ConnectionRefusedError' in text
        assert "Group Coordinator Request failed: ValueError" in text
        assert "Unable to read %d of %s" in text
        assert "positional_args" not in text
        assert SECRET not in text

    def test_chatty_libraries_are_quiet(self, said):
        logging.getLogger("aiokafka.consumer").warning("noise")
        logging.getLogger("faust").info("noise")
        assert "noise" not in said()


def test_a_message_that_cannot_be_written_is_not_printed_raw(configured):
    said = configured("json")

    class Unprintable:
        def __str__(self) -> str:
            raise ValueError(SECRET)

    logging.getLogger("some.library").error(Unprintable(), SECRET)
    assert SECRET not in said()


def test_json_lines_have_level_time_and_fields(configured):
    said = configured("json")
    structlog.get_logger("workers.pipeline").info("dead_letter", reason="schema", offset=7)
    line = json.loads(said())
    assert (line["event"], line["level"], line["reason"], line["offset"]) == ("dead_letter", "info", "schema", 7)
    assert line["logger"] == "workers.pipeline"
    assert line["timestamp"].endswith("Z")
