"""/ops: the operations page. Static files that know nothing; what they show they ask of /v1/ops with a staff token."""

from __future__ import annotations

from importlib.resources import files
from pathlib import PurePath

from aiohttp import web

_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'none'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def add_routes(router: web.UrlDispatcher) -> None:
    """The page and its files, read once; no other name is ever looked for on the disk."""
    bodies = {file.name: file.read_bytes() for file in files(__package__).joinpath("ops").iterdir()}

    async def get_page(request: web.Request) -> web.Response:
        return _file("index.html", bodies["index.html"])

    async def get_file(request: web.Request) -> web.Response:
        name = request.match_info["file"]
        if name not in bodies:
            raise web.HTTPNotFound
        return _file(name, bodies[name])

    router.add_get("/ops", get_page)
    router.add_get("/ops/{file}", get_file)


def _file(name: str, body: bytes) -> web.Response:
    kind = _KINDS[PurePath(name).suffix]
    return web.Response(body=body, headers=_HEADERS, content_type=kind, charset="utf-8")
