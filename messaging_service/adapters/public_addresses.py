"""Where a webhook may go: to addresses of the public internet alone, whatever a name leads to at that moment."""

from __future__ import annotations

import socket
from ipaddress import IPv6Address, ip_address, ip_network

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

_NAT64 = ip_network("64:ff9b::/96")


class PublicAddresses(AbstractResolver):
    """Resolves names as the system does, and refuses one with any address that is not public.

    What is connected to is the very address that was judged: nothing is looked up a second time (DNS rebinding).
    """

    def __init__(self) -> None:
        self._system: AbstractResolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of `host`. Raises OSError when one of them is not public, or there are none."""
        found = await self._system.resolve(host, port, family)
        if not all(is_public(each["host"]) for each in found):
            raise OSError("the name leads to an address that is not public")
        return found

    async def close(self) -> None:
        """Nothing is held."""
        await self._system.close()


def is_public(address: str) -> bool:
    """Whether an IP address is of the public internet: not private, loopback, link-local, multicast or reserved.

    An IPv6 address that carries an IPv4 one (mapped, 6to4, NAT64) is judged by that one, too.
    """
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if ip in _NAT64 or ip.teredo is not None or (inner is not None and not is_public(str(inner))):
            return False
        if ip.ipv4_mapped is not None:
            return True
    return ip.is_global and not ip.is_multicast
