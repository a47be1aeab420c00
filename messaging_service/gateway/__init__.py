"""The HTTP side: aiohttp, one file per resource; contracts/openapi.yaml is what it keeps to."""
