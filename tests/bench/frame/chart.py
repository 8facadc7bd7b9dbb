"""Charts as SVG, drawn by hand: lines and bars on one or more panels, readable on light and on dark
ground."""

import html
import math

WIDTH = 760
LEFT, RIGHT, TOP, BETWEEN, BOTTOM = 76, 18, 46, 34, 44

STYLE = """
  .ground { fill: #ffffff; }
  text { font: 13px sans-serif; fill: #24292f; }
  .title { font-weight: bold; font-size: 15px; }
  .axis { stroke: #57606a; stroke-width: 1; fill: none; }
  .grid { stroke: #d0d7de; stroke-width: 1; }
  .band { fill: #d0d7de; opacity: 0.5; }
  .a { stroke: #0550ae; } .b { stroke: #bc4c00; } .c { stroke: #1a7f37; } .d { stroke: #8250df; }
  .area.a { fill: #0550ae; } .area.b { fill: #bc4c00; }
  .area.c { fill: #1a7f37; } .area.d { fill: #8250df; }
  .line { fill: none; stroke-width: 2; } .area { stroke: none; opacity: 0.75; }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117; }
    text { fill: #e6edf3; }
    .axis { stroke: #8b949e; } .grid, .band { stroke: #30363d; } .band { fill: #30363d; }
    .a { stroke: #79c0ff; } .b { stroke: #ffa657; } .c { stroke: #7ee787; } .d { stroke: #d2a8ff; }
    .area.a { fill: #79c0ff; } .area.b { fill: #ffa657; }
    .area.c { fill: #7ee787; } .area.d { fill: #d2a8ff; }
  }
"""


def number(value):
    """1500000 as "1.5M"."""
    for size, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{suffix}"
    return f"{value:g}"


class Scale:
    """Values to places on one axis. A logarithmic one has everything below `low` at its end."""

    def __init__(self, low, high, begin, end, logarithmic=False):
        self.low, self.high, self.begin, self.end = low, max(high, low + 1e-9), begin, end
        self.logarithmic = logarithmic

    def __call__(self, value):
        if self.logarithmic:
            value = max(value, self.low)
            part = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        return round(self.begin + part * (self.end - self.begin), 1)

    def ticks(self):
        if self.logarithmic:
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            # A short axis is finer marked.
            marks = (1, 2, 5) if self.high / self.low < 200 else (1,)
            ticks = [mark * 10.0**power for power in range(first - 1, last + 1) for mark in marks]
            return [tick for tick in ticks if self.low <= tick <= self.high]
        step = 10.0 ** math.floor(math.log10((self.high - self.low) / 2))
        while (self.high - self.low) / step > 6:
            step *= 2.5 if str(step).strip("0.").startswith("2") else 2
        first = math.ceil(self.low / step)
        return [step * place for place in range(first, int(self.high / step) + 1)]


class Panel:
    """A field with its axes; y grows upwards."""

    def __init__(self, parts, x, y, label):
        self._parts, self.x, self.y = parts, x, y
        for value in y.ticks():
            place = y(value)
            parts.append(f'<line class="grid" x1="{x.begin}" y1="{place}" x2="{x.end}" '
                         f'y2="{place}"/>')
            parts.append(f'<text x="{x.begin - 8}" y="{place + 4}" text-anchor="end">'
                         f'{number(value)}</text>')
        parts.append(f'<path class="axis" d="M{x.begin} {y.end}V{y.begin}H{x.end}"/>')
        parts.append(f'<text x="{x.begin}" y="{y.end - 8}">{html.escape(label)}</text>')

    def band(self, begin, end):
        left, right = self.x(begin), self.x(end)
        self._parts.append(f'<rect class="band" x="{left}" y="{self.y.end}" '
                           f'width="{round(right - left, 1)}" '
                           f'height="{round(self.y.begin - self.y.end, 1)}"/>')

    def line(self, kind, points):
        path = " ".join(f"{self.x(x)},{self.y(y)}" for x, y in points)
        self._parts.append(f'<polyline class="line {kind}" points="{path}"/>')

    def columns(self, kind, bars):
        """Bars from `begin` to `end` on the x axis, each `height` high."""
        for begin, end, height in bars:
            left, top = self.x(begin), self.y(height)
            self._parts.append(
                f'<rect class="area {kind}" x="{left}" y="{top}" '
                f'width="{round(max(self.x(end) - left - 0.6, 0.4), 1)}" '
                f'height="{round(self.y.begin - top, 1)}"/>')

    def mark(self, kind, value, text):
        """A line across at a value of x, with a word."""
        place = self.x(value)
        self._parts.append(f'<path class="line {kind}" d="M{place} {self.y.begin}V{self.y.end}"/>')
        self._parts.append(f'<text x="{place + 5}" y="{self.y.end + 12}">'
                           f'{html.escape(text)}</text>')


class Chart:
    """Panels below each other that share their x axis."""

    def __init__(self, title, panels, panel_height, x_range, x_label, logarithmic_x=False):
        self._parts = []
        self._height = TOP + panels * (panel_height + BETWEEN) - BETWEEN + BOTTOM
        self._panel_height = panel_height
        self._made = 0
        self.x = Scale(*x_range, LEFT, WIDTH - RIGHT, logarithmic_x)
        self._parts.append(f'<text class="title" x="{LEFT}" y="20">{html.escape(title)}</text>')
        bottom = self._height - BOTTOM
        for value in self.x.ticks():
            self._parts.append(f'<text x="{self.x(value)}" y="{bottom + 18}" '
                               f'text-anchor="middle">{number(value)}</text>')
        self._parts.append(f'<text x="{WIDTH - RIGHT}" y="{bottom + 36}" text-anchor="end">'
                           f'{html.escape(x_label)}</text>')

    def panel(self, y_range, label, logarithmic=False):
        top = TOP + self._made * (self._panel_height + BETWEEN)
        self._made += 1
        y = Scale(*y_range, top + self._panel_height, top, logarithmic)
        return Panel(self._parts, self.x, y, label)

    def legend(self, entries):
        """Names of the lines, by kind, at the top on the right."""
        place = WIDTH - RIGHT - sum(8 * len(name) + 36 for name in entries.values())
        for kind, name in entries.items():
            self._parts.append(f'<path class="line {kind}" d="M{place} 16h18"/>')
            self._parts.append(f'<text x="{place + 24}" y="20">{html.escape(name)}</text>')
            place += 8 * len(name) + 36

    def write(self, path):
        body = "\n".join(self._parts)
        path.write_text(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self._height}" '
            f'width="{WIDTH}" height="{self._height}">\n<style>{STYLE}</style>\n'
            f'<rect class="ground" width="{WIDTH}" height="{self._height}"/>\n{body}\n</svg>\n',
            encoding="utf-8")
