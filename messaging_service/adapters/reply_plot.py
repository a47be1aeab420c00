"""The report of reply dates as a picture: a stacked bar a week, in SVG that stands by itself."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

import pygal
from pygal.style import Style

from messaging_service.application.reply_report import WeekOfReplies

_SVG = "http://www.w3.org/2000/svg"
_SERIES = (("on_time", "on time", "#2e7d32"), ("late", "late", "#ef6c00"), ("overdue", "open, date passed", "#c62828"))
_OPEN = ("open", "open", "#90a4ae")


def plot(title: str, weeks: Sequence[str], lines: Sequence[WeekOfReplies]) -> bytes:
    """SVG with a bar for each of the weeks, over all teams in `lines`; no script and nothing from elsewhere."""
    series = (*_SERIES, _OPEN)
    chart = pygal.StackedBar(
        js=(),
        title=title,
        x_labels=list(weeks),
        x_label_rotation=45,
        y_title="messages",
        style=Style(colors=tuple(colour for _, _, colour in series), background="#ffffff", plot_background="#ffffff"),
        legend_at_bottom=True,
    )
    for outcome, name, _ in series:
        chart.add(name, [sum(getattr(line, outcome) for line in lines if line.week == week) for week in weeks])
    return _without_scripts(chart.render())


def _without_scripts(picture: bytes) -> bytes:
    """The library writes its settings into a script, also where nothing reads them."""
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
    root = ElementTree.fromstring(picture)  # noqa: S314 -- we drew it ourselves
    for holder in list(root.iter()):
        for script in holder.findall(f"{{{_SVG}}}script"):
            holder.remove(script)
    drawn: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return drawn
