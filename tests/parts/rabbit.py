"""A private RabbitMQ node: its own home, ports and epmd, loopback only, gone when the test run is gone.

The kernel kills node and epmd when the thread that started them ends (PR_SET_PDEATHSIG), so call `start` from
the main thread; a killed pytest leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

INSTALL = "RabbitMQ is missing; install it: apt-get install rabbitmq-server"
START_SECONDS = 120
PR_SET_PDEATHSIG = 1
GREETING = b"AMQP\x00\x00\x09\x01"
CALM_SCHEDULERS = "+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none"
LOOPBACK = "-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false"
CONFIGURATION = "log.console = false\nlog.file.level = warning\ndisk_free_limit.absolute = 10MB\n"
DEAD_LETTERS_AGAIN = "[{rabbit, [{dead_letter_worker_publisher_confirm_timeout, 2000}]}]."
"""A dead letter that its queue did not take is tried again after 2 s, not after 3 minutes."""

WATERMARK = "0.4"


class RabbitNode:
    """One broker process over `folder`; data and port outlive `kill` and `start`."""

    def __init__(self, folder: Path) -> None:
        """Choose free ports and write the configuration; nothing runs yet.

        Raises:
            FileNotFoundError: no rabbitmq-server is installed; the message names the remedy.
        """
        self.folder = folder
        self.data_dir = folder / "mnesia"
        self.port, self._dist_port, self._epmd_port = _free_ports(3)
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/"
        self._sbin = _sbin()
        self._epmd: subprocess.Popen[bytes] | None = None
        self._beam: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "rabbitmq.conf").write_text(CONFIGURATION)
        (folder / "advanced.config").write_text(DEAD_LETTERS_AGAIN)
        (folder / "enabled_plugins").write_text("[].")

    def start(self) -> None:
        """Start on the same data and port and wait until it greets; 5 to 12 seconds."""
        self.launch()
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            self._check_start(deadline)
            time.sleep(0.1)

    async def started(self) -> None:
        """As `start`, while the event loop goes on."""
        self.launch()
        deadline = time.monotonic() + START_SECONDS
        while not await asyncio.to_thread(self.answers):
            self._check_start(deadline)
            await asyncio.sleep(0.1)

    def launch(self) -> None:
        """Begin to start; `answers` tells when it is there."""
        if self._epmd is None:
            epmd = shutil.which("epmd")
            assert epmd is not None, INSTALL
            self._epmd = self._spawn([epmd, "-port", str(self._epmd_port), "-address", "127.0.0.1"])
            _await_port(self._epmd_port)
        self._beam = self._spawn([str(self._sbin / "rabbitmq-server")])

    def answers(self) -> bool:
        """Whether the node greets an AMQP client."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as client:
            client.sendall(GREETING)
            return client.recv(1) == b"\x01"
        return False

    def remembers(self, *queues: str) -> bool:
        """Whether these quorum queues would outlive `kill`.

        The node enters a new queue in its directory file up to 1.5 s after it was declared; killed before that,
        it comes back with a queue that never confirms and holds nothing.
        """
        directories = self.data_dir.glob("*/quorum/*/names.dets")
        known = b"".join(directory.read_bytes() for directory in directories)
        return all(queue.encode() in known for queue in queues)

    def kill(self) -> None:
        """End it as a power cut would: kill -9."""
        self._signal(signal.SIGKILL)
        if self._beam is not None:
            self._beam.wait()
            self._beam = None

    def freeze(self) -> None:
        """Stop the process where it is: connections stay, nothing answers."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        self._signal(signal.SIGCONT)

    def raise_memory_alarm(self) -> None:
        """Make the broker believe that its memory is full: it stops reading from publishers."""
        self.ctl("set_vm_memory_high_watermark", "0.0001")

    def clear_memory_alarm(self) -> None:
        """Back to normal."""
        self.ctl("set_vm_memory_high_watermark", WATERMARK)

    def raise_disk_alarm(self) -> None:
        """Make the broker believe that its disk is full."""
        self.ctl("set_disk_free_limit", "900000GB")

    def clear_disk_alarm(self) -> None:
        """Back to normal."""
        self.ctl("set_disk_free_limit", "10MB")

    def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl against this node and return what it printed; takes 2 to 4 seconds."""
        command = [str(self._sbin / "rabbitmqctl"), "-q", *arguments]
        done = subprocess.run(
            command, env=self._environment(), cwd=self.folder, check=True, capture_output=True, timeout=60
        )
        return done.stdout.decode()

    def stop(self) -> None:
        """End node and epmd."""
        self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
            self._epmd = None

    def _check_start(self, deadline: float) -> None:
        if self._beam is None or self._beam.poll() is not None or time.monotonic() > deadline:
            said = (self.folder / "output.txt").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"the RabbitMQ node did not start: {said}")

    def _signal(self, number: signal.Signals) -> None:
        if self._beam is not None and self._beam.poll() is None:
            self._beam.send_signal(number)

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self.folder / "output.txt").open("ab") as output:
            return subprocess.Popen(
                command,
                env=self._environment(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=_die_with_parent,
            )

    def _environment(self) -> dict[str, str]:
        """Everything Debian would take from /etc or /var, pointed into the folder.

        RUNNING_UNDER_SYSTEMD makes the script exec the Erlang VM: the process we hold is the node.
        """
        folder = self.folder
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(folder),
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_NODENAME": "messaging@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._dist_port),
            "RABBITMQ_MNESIA_BASE": str(self.data_dir),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{CALM_SCHEDULERS} {LOOPBACK}",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
        }


def _sbin() -> Path:
    """Debian's /usr/sbin wrapper switches user; the scripts behind it do not."""
    found = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin"))
    if not found:
        raise FileNotFoundError(INSTALL)
    return found[-1]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _await_port(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise RuntimeError("epmd did not start")


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
