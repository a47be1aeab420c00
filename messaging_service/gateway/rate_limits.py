"""RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers-10): what a caller may still do."""

from __future__ import annotations

from aiohttp import web

from messaging_service.domain.quota import Quota
from messaging_service.gateway.context import LEFT


async def say_what_is_left(request: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare`: one item of both fields for each policy that the request took from."""
    if allowances := request.get(LEFT):
        response.headers["RateLimit-Policy"] = ", ".join(_policy(each.quota) for each in allowances)
        response.headers["RateLimit"] = ", ".join(
            f'"{each.quota.name}";r={each.left};t={each.reset}' for each in allowances
        )


def _policy(quota: Quota) -> str:
    unit = f';qu="{quota.unit}"' if quota.unit != "requests" else ""
    return f'"{quota.name}";q={quota.most}{unit};w={quota.seconds}'
