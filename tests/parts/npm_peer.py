"""MLLP peers from npm, each a process of its own (tests/parts/npm)."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "npm"
_PATIENCE = 20.0


class NpmPeer:
    """One peer, spoken to in lines of JSON."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin
        assert process.stdout
        self._in, self._out = process.stdin, process.stdout

    async def says(self) -> dict[str, Any]:
        """Its next line."""
        line = await asyncio.wait_for(self._out.readline(), _PATIENCE)
        assert line, "the peer ended"
        told: dict[str, Any] = json.loads(line)
        return told

    async def send(self, message: str) -> str:
        """Of a client: have it send a message; the acknowledgement as its library understood it."""
        self._in.write(json.dumps(message).encode() + b"\n")
        return str((await self.says())["answer"])


@asynccontextmanager
async def npm_peer(side: str, port: int = 0, pem: Path | None = None) -> AsyncIterator[NpmPeer]:
    """A peer that runs; `side` as in peer.mjs."""
    node = shutil.which("node")
    installed = (_FOLDER / "node_modules").is_dir()
    assert node, "node is missing: apt-get install nodejs npm"
    assert installed, "the npm peers are missing: npm ci --prefix tests/parts/npm"
    command = [node, str(_FOLDER / "peer.mjs"), side, str(port), *([str(pem)] if pem else [])]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=4_000_000
    )
    try:
        yield NpmPeer(process)
    finally:
        process.kill()
        await process.wait()
