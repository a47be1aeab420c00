"""What `deploy/up` does inside the environment."""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TextIO

from aiohttp import web
from demonstration import OnCall, Patient, Row, play
from pages import pages
from people import settle
from rich.console import Console
from rich.table import Table
from service import ROOT, NotStarted, Running, command, embedded_service, free_port, refuse_production

from messaging_service.domain.roles import Role

STATE = ROOT / ".var" / "up"
_PORT = 8080
_LOCK = "lock"


async def main(once: bool, folder: Path, demonstrate: bool, port: int, fresh: bool) -> int:
    """Start, demonstrate, and unless `once` keep serving until a signal, with the sandbox's page."""
    console = Console()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if once:
        folder = Path(tempfile.mkdtemp(prefix="messaging-service-"))
    on_call = OnCall()
    try:
        lock = claim(folder, fresh)
    except NotStarted as problem:
        console.print(str(problem), style="red", markup=False)
        return 1
    alarms = await _on_call_server(on_call)
    begun = time.monotonic()
    console.print("· starting the service and a sandbox EPD …", end="")
    try:
        refuse_production(os.environ, "127.0.0.1")
        alarm_url = f"http://127.0.0.1:{alarms.addresses[0][1]}/alarm"
        async with embedded_service(folder, alarm_url, free_port(port)) as running:
            console.print(f" {time.monotonic() - begun:.1f} s")
            await settle(running)
            right = await _demonstrate(running, on_call, console) if demonstrate else True
            if not once:
                async with pages(running, on_call, free_port(port and port + 1)) as address:
                    await _show_how_to_go_on(running, console)
                    console.print(f"Open the sandbox in a browser: [bold]{address}[/]")
                    sys.stdout.flush()
                    await stop.wait()
            return 0 if right else 1
    except NotStarted as problem:
        console.print(f"\n{problem}", style="red", markup=False)
        return 1
    finally:
        await alarms.cleanup()
        lock.close()
        if once:
            shutil.rmtree(folder)


def claim(folder: Path, fresh: bool) -> TextIO:
    """Take `folder` for this run, emptied where `fresh`, until the answer is closed.

    Raises NotStarted, with nothing changed, when another run has it or it holds what no run of the sandbox made.
    """
    mark = folder / _LOCK
    if folder.exists() and not mark.exists() and any(folder.iterdir()):
        raise NotStarted(f"{folder} holds something else; name an empty folder, or one of an earlier run")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = mark.open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise NotStarted("deploy/up is running already; stop that one first (Ctrl-C there)") from None
    for each in folder.iterdir() if fresh else ():
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        elif each != mark:
            each.unlink()
    return lock


async def _on_call_server(on_call: OnCall) -> web.AppRunner:
    app = web.Application()
    app.router.add_post("/alarm", on_call.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner


async def _demonstrate(running: Running, on_call: OnCall, console: Console) -> bool:
    table = Table("", "sent", "answered", "in the EPD", title="A conversation", title_justify="left", expand=True)

    def show(row: Row) -> None:
        console.print(f"· {row.sent}: {'as it should be' if row.right else 'NOT as it should be'}", highlight=False)
        mark = "[green]✓[/]" if row.right else "[red]✗[/]"
        table.add_row(mark, row.sent, row.answer, row.filed)

    right = await play(running, on_call, show)
    console.print(table)
    ledger = await command(running.environment, "ledger")
    console.print(ledger.strip(), style="green")
    return right


async def _show_how_to_go_on(running: Running, console: Console) -> None:
    """Commands to paste as they stand, in order, into another shell."""
    patient = Patient(running, "spijkenisse", "1234", "A. Jansen")
    terms = json.dumps({"version": (await patient.send("GET", "/v1/terms", {}))["version"], "language": "nl"})
    message = json.dumps({"subject": "Vraag", "body": "Mag ik sporten met deze pleister?", "language": "nl"})
    as_patient = """-H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json'"""
    console.print("\nServing until Ctrl-C. As a patient, accept the terms and send a first message:\n", style="bold")
    sys.stdout.write(
        f"TOKEN={patient.token}\n\n"
        f"curl -sw '\\n' {running.url}/v1/terms {as_patient} \\\n  -d '{terms}'\n\n"
        f"curl -sw '\\n' {running.url}/v1/messages {as_patient} \\\n"
        f"  -H 'Idempotency-Key: mine-1' -d '{message}'\n\n"
    )
    console.print(f"The operations page is {running.url}/ops. It asks for a token of the role ops:\n")
    script = Path(__file__).with_name("issuer.py")
    sys.stdout.write(f"{shlex.join([sys.executable, str(script), str(running.folder), 'spijkenisse', 'ops'])}\n\n")
    console.print(f"(Other roles: {', '.join(role for role in Role if role is not Role.OPS)}.)\n", highlight=False)
    console.print("The commands, such as `messaging-service queues`, work in a shell after:\n")
    sys.stdout.write(f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"\n')
    for name, value in running.environment.items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
    sys.stdout.write("\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="deploy/up")
    parser.add_argument("--once", action="store_true", help="stop after the demonstration")
    parser.add_argument("--fresh", action="store_true", help="forget what an earlier run left in the folder")
    parser.add_argument("--folder", type=Path, default=STATE, help="where the state lies (.var/up)")
    parser.add_argument(
        "--no-demonstration", action="store_true", help="start the sandbox without a conversation first"
    )
    parser.add_argument("--port", type=int, default=_PORT, help="the gateway's; the page's is the next; 0: any")
    given = parser.parse_args()
    if given.fresh and given.once:
        parser.error("--once has a folder of its own, which is always fresh")
    sys.exit(asyncio.run(main(given.once, given.folder, not given.no_demonstration, given.port, given.fresh)))
