"""Settings → the running parts. The one place that knows every adapter."""

from messaging_service.bootstrap.epd import epd_pool
from messaging_service.bootstrap.opening import open_parts, system_clock
from messaging_service.bootstrap.parts import Parts

__all__ = ["Parts", "epd_pool", "open_parts", "system_clock"]
