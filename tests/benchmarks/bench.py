"""What `deploy/bench` does inside the environment."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from tests.benchmarks import accepting, alone, conversation, epd_lines, filing, receiving, streams
from tests.benchmarks.children import Failed
from tests.benchmarks.figures import Figure, as_json, circumstances, show
from tests.benchmarks.system import ground, mongodb


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything: messages a round, rounds, messages to file, repeats of what is timed alone.

    `streams` are event streams, and `events` what they hear before, during and after a restart.
    `among` so many messages of one hospital a patient lists and searches, `asked` times.
    `window` is for how many seconds each line to an EPD is measured, `answers` after how many seconds that EPD answers.
    """

    messages: int
    rounds: int
    filed: int
    repeats: int
    window: float
    answers: tuple[float, ...]
    streams: int
    events: int
    among: int
    asked: int


FULL = Scale(
    messages=2_000,
    rounds=4,
    filed=4_000,
    repeats=20,
    window=5.0,
    answers=epd_lines.SECONDS,
    streams=5_000,
    events=500,
    among=1_000_000,
    asked=1_000,
)
QUICK = Scale(
    messages=300,
    rounds=1,
    filed=300,
    repeats=3,
    window=1.0,
    answers=(0.0, 0.05),
    streams=500,
    events=100,
    among=20_000,
    asked=200,
)


def run(parts: str, scale: Scale, folder: Path, console: Console) -> Iterator[Figure]:
    """The figures of the parts named, e.g. "abcdefgh", as they are measured."""
    if "c" in parts:
        yield from alone.rendering(scale.repeats)
    if "d" in parts:
        yield from alone.screening(scale.repeats)
    if "a" in parts:
        console.print("· (a) accepting: a gateway beside a bare handler")
        with ground(folder / "a") as on:
            yield from accepting.measure(on, scale.messages, scale.rounds, _teller(console))
    if "b" in parts:
        console.print("· (b) from accepted to filed, every step a process")
        with ground(folder / "b") as on:
            store = f"sqlite:{on.folder}/documents.sqlite"
            yield from filing.measure(on, store, "SQLite", scale.filed, _teller(console))
        if shutil.which("mongod"):
            with ground(folder / "b-mongod") as on, mongodb(on.folder / "mongo") as (uri, kind):
                yield from filing.measure(on, f"{uri}/messaging", kind, scale.filed, _teller(console))
        else:
            console.print("  no mongod here: the pipeline on MongoDB is not measured")
    if "e" in parts:
        console.print("· (e) filing into an EPD that takes its time")
        with ground(folder / "e") as on:
            yield from epd_lines.measure(on, scale.window, scale.answers, _teller(console))
    if "f" in parts:
        console.print("· (f) what the EPD sends")
        with ground(folder / "f") as on:
            yield from receiving.measure(on, scale.filed // 2, _teller(console))
    if "g" in parts:
        console.print("· (g) event streams, and a gateway that is killed")
        yield from streams.measure(folder / "g", scale.streams, scale.events, _teller(console))
    if "h" in parts:
        console.print("· (h) one patient's lists and search among many messages")
        yield from conversation.measure(folder / "h", scale.among, scale.asked, _teller(console))


def _teller(console: Console) -> Callable[[str], None]:
    begun = time.monotonic()
    return lambda text: console.print(f"  {time.monotonic() - begun:4.0f} s  {text}", highlight=False)


def main(arguments: list[str]) -> int:
    """0 when everything was measured, whether the aims are met or not."""
    parser = argparse.ArgumentParser(prog="deploy/bench")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="a,b,c,d,e,f,g,h", metavar="PARTS")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args(arguments)
    console, around = Console(), circumstances()
    folder = Path(tempfile.mkdtemp(prefix="messaging-bench-"))
    try:
        figures = list(run(given.only, QUICK if given.quick else FULL, folder, console))
    except (Failed, FileNotFoundError) as problem:
        console.print(str(problem), style="red", markup=False)
        return 1
    finally:
        shutil.rmtree(folder)
    show(console, sorted(figures, key=lambda figure: figure.part), around)
    if given.json:
        given.json.write_text(json.dumps(as_json(figures, around), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
