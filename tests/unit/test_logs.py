"""Logs: what is not allowed is dropped, and an exception's message never shows."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any, Literal

import pytest
import structlog

from messaging_service import logs

SECRET = "Ik durf het niemand te zeggen"


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Logging is global: as it was before, afterwards."""
    config, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.configure(**config)
    root.handlers[:] = handlers
    root.setLevel(level)


def written(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The lines on standard error; nothing is on standard output."""
    out, err = capsys.readouterr()
    assert out == ""
    return [json.loads(line) for line in err.splitlines()]


def fail(text: str) -> None:
    raise ValueError(text)


def test_allowed_fields_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON object a line, with level and time in UTC."""
    logs.configure("json", "info")
    structlog.get_logger().warning("attempt_failed", queue="file.sein.normal", message="M1", reason="AE-204")
    (line,) = written(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "attempt_failed",
        "level": "warning",
        "queue": "file.sein.normal",
        "message": "M1",
        "reason": "AE-204",
    }


@pytest.mark.parametrize("format", ["json", "console"])
@pytest.mark.parametrize("field", ["body", "subject", "patient", "name", "content", "envelope", "identifiers", "token"])
def test_any_other_field_is_dropped(
    capsys: pytest.CaptureFixture[str], format: Literal["json", "console"], field: str
) -> None:
    """Whatever a caller adds that is not on the list does not reach the log, name or value."""
    logs.configure(format, "info")
    structlog.get_logger().error("x", **{field: SECRET})
    out, err = capsys.readouterr()
    assert SECRET not in out + err
    assert field not in err


@pytest.mark.parametrize("format", ["json", "console"])
def test_an_exception_shows_type_and_places(
    capsys: pytest.CaptureFixture[str], format: Literal["json", "console"]
) -> None:
    """Where it failed and what kind of error; never its message, nor that of its cause."""
    logs.configure(format, "info")
    try:
        try:
            fail(SECRET)
        except ValueError as problem:
            raise KeyError(SECRET) from problem
    except KeyError:
        structlog.get_logger().exception("step_failed", message="M1")
    _, err = capsys.readouterr()
    assert SECRET not in err
    assert "KeyError" in err
    assert "test_logs.py" in err


def test_the_places_lead_to_where_it_was_raised(capsys: pytest.CaptureFixture[str]) -> None:
    """File, line and function of each frame, outermost first."""
    logs.configure("json", "info")
    try:
        fail(SECRET)
    except ValueError as problem:
        structlog.get_logger().error("step_failed", exc_info=problem)
    (line,) = written(capsys)
    assert line["error"] == "ValueError"
    outer, inner = line["traceback"]
    assert outer.startswith("test_logs.py:")
    assert outer.endswith(" test_the_places_lead_to_where_it_was_raised")
    assert inner.endswith(" fail")


def test_libraries_log_without_their_text(capsys: pytest.CaptureFixture[str]) -> None:
    """A library's warning or exception: who, where and which error; not its message, arguments or traceback."""
    logs.configure("json", "info")
    library = logging.getLogger("aiohttp.server")
    try:
        fail(SECRET)
    except ValueError:
        library.exception("Error handling request %s", SECRET)
    library.warning(SECRET)
    library.info("not even a line")
    failed, warned = written(capsys)
    assert (failed["event"], failed["logger"], failed["error"]) == ("library", "aiohttp.server", "ValueError")
    assert warned["logger"] == "aiohttp.server"
    assert "error" not in warned
    for line in (failed, warned):
        assert line["place"].startswith("test_logs.py:")
        assert line["place"].endswith(" test_libraries_log_without_their_text")
    assert SECRET not in json.dumps([failed, warned])


def test_the_level_is_the_setting(capsys: pytest.CaptureFixture[str]) -> None:
    """What is below it is not written."""
    logs.configure("json", "error")
    structlog.get_logger().warning("below")
    structlog.get_logger().error("above")
    assert [line["event"] for line in written(capsys)] == ["above"]
