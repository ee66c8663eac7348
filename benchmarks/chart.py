"""The chart of the README: horizontal bars, one panel for each case, as SVG.

Its colours follow the reader's: an image in a README can ask for `prefers-color-scheme`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from benchmarks.cases import CASES
from benchmarks.results_file import Result, Results
from benchmarks.servers import SERVER_NAMES

PANELS = (
    ("wordpress-plain-20ms", "pureftpd"),
    ("wordpress-plain-80ms", "pureftpd"),
    ("wordpress-ftps-20ms", "pureftpd"),
    ("wordpress-ftps-loopback", "proftpd"),
    ("wordpress-plain-loopback", "vsftpd"),
    ("many-plain-loopback", "vsftpd"),
)
NAMES = {
    "engine": "siteferry, engine",
    "command": "siteferry, whole command",
    "lftp": "lftp, 8 in parallel",
    "rclone": "rclone, 8 transfers",
    "ncftp": "ncftpput, 1 connection",
    "ftputil": "plain ftputil, 8 threads",
}

_WIDTH = 860
_LABELS = 200
_BAR_WIDTH = 540
_BAR_HEIGHT = 16
_BAR_STEP = 23
_PANEL_HEAD = 34
_PANEL_GAP = 20

_STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif }
text { fill: #1f2328 }
.title { font-weight: 600 }
.label { text-anchor: end }
.engine { fill: #0969da }
.command { fill: #78b4f0 }
.peer { fill: #afb8c1 }
.nothing { fill: #6e7781; font-style: italic }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .engine { fill: #4493f8 }
  .command { fill: #2a5c9e }
  .peer { fill: #59636e }
  .nothing { fill: #9198a1 }
}
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One client. `seconds` is None where it has no time; `told` is written behind the bar."""

    client: str
    seconds: float | None
    told: str


def draw(results: Results) -> str:
    """The whole chart; of PANELS those that were measured."""
    parts: list[str] = []
    y = 8
    for case, server in PANELS:
        result = results.get((case, server))
        if result is None:
            continue
        bars = [bar for client in NAMES if (bar := _bar(result, client))]
        title = f"{CASES[case].title}, {SERVER_NAMES[server]}: seconds"
        parts += _panel(title, bars, y)
        y += _PANEL_HEAD + len(bars) * _BAR_STEP + _PANEL_GAP
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" width="{_WIDTH}"'
            f' height="{y}" role="img" aria-label="Seconds that each client needs">',
            f"<style>{_STYLE}</style>",
            *parts,
            "</svg>\n",
        ]
    )


def _bar(result: Result, client: str) -> Bar | None:
    if not result.runs.get(client):
        return None
    if (seconds := result.seconds(client)) is not None:
        return Bar(client, seconds, f"{seconds:.{0 if seconds >= 100 else 1}f}")
    if (limit := result.limit(client)) is not None:
        return Bar(client, limit, f"more than {limit:.0f}")
    return Bar(client, None, result.ending(client))


def _panel(title: str, bars: list[Bar], top: int) -> Iterator[str]:
    yield f'<text class="title" x="8" y="{top + 16}">{escape(title)}</text>'
    longest = max((bar.seconds or 0.0 for bar in bars), default=0.0) or 1.0
    for number, bar in enumerate(bars):
        y = top + _PANEL_HEAD + number * _BAR_STEP
        base = y + _BAR_HEIGHT - 4
        yield f'<text class="label" x="{_LABELS - 8}" y="{base}">{escape(NAMES[bar.client])}</text>'
        width = (bar.seconds or 0.0) / longest * _BAR_WIDTH
        kind = bar.client if bar.client in ("engine", "command") else "peer"
        if width:
            yield (
                f'<rect class="{kind}" x="{_LABELS}" y="{y}" rx="2"'
                f' width="{width:.1f}" height="{_BAR_HEIGHT}"/>'
            )
        style = "" if width else ' class="nothing"'
        yield f'<text{style} x="{_LABELS + width + 6:.1f}" y="{base}">{escape(bar.told)}</text>'
