"""How has the metric gone?  The learning curve of a trial as inline SVG, with the target, and the
extrapolation drawn as such.
"""

import math
from collections.abc import Callable, Sequence
from html import escape

from algoperf_pt.watch.view import View

_WIDTH, _HEIGHT = 820, 340
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 808, 22, 300
_SPLITS = ("train", "validation", "test")
_MOST = 400  # points of a line
_FARTHEST = 1e300  # of a value: differences of two must be finite
_EARLY = 0.1  # share of the time whose values do not stretch the axis

Scale = Callable[[float], float]
Pairs = list[tuple[float, float]]


def chart(view: View) -> str:
    """SVG, or "" where there is nothing to draw."""
    lines = {split: _line(view, split) for split in _SPLITS}
    if not lines["validation"]:
        return ""
    end = _end(view, lines["validation"][-1][0])
    low, high = _window([p for line in lines.values() for p in line], view.facts.target, end)
    x, y = _scale(0.0, end, _LEFT, _RIGHT), _scale(low, high, _BOTTOM, _TOP)
    parts = [_grid(x, 0.0, end, y, low, high), _guess(view, x, y, end)]
    parts += [_path(split, line, x, y, low, high) for split, line in lines.items() if line]
    parts += [_target(view, y), _keys([split for split, line in lines.items() if line])]
    label = escape(f"{view.metric} over timed seconds")
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">'
        f'{"".join(parts)}</svg>'
    )


def _line(view: View, split: str) -> Pairs:
    known = [(p.time, getattr(p, split)) for p in view.points]
    line = [(t, v) for t, v in known if abs(v) < _FARTHEST]  # false for nan, too
    stride = math.ceil(len(line) / _MOST) or 1
    return line[::stride] + (line[-1:] if (len(line) - 1) % stride else [])


def _end(view: View, last: float) -> float:
    """The right edge: what was used; farther if the target may be met within three times that."""
    used = max(last, view.used or 0.0) or 1.0
    guess = view.guess
    return used if guess is None or guess.time > 3 * used else max(used, 1.05 * guess.time)


def _window(points: Pairs, target: float | None, end: float) -> tuple[float, float]:
    late = [v for t, v in points if t >= _EARLY * end] or [v for _, v in points]
    values = late + ([] if target is None else [target])
    low, high = min(values), max(values)
    air = 0.06 * ((high - low) or abs(high) or 1.0)
    return low - air, high + air


def _scale(low: float, high: float, start: float, stop: float) -> Scale:
    width = high - low
    return lambda value: start + (stop - start) * ((value - low) / width if width else 0.5)


def _grid(x: Scale, left: float, right: float, y: Scale, low: float, high: float) -> str:
    parts = []
    for t in _ticks(left, right, 7):
        parts.append(_rule("grid", x(t), x(t), _TOP, _BOTTOM))
        parts.append(f'<text x="{x(t):.1f}" y="{_BOTTOM + 16}" text-anchor="middle">{t:g}</text>')
    for v in _ticks(low, high, 5):
        parts.append(_rule("grid", _LEFT, _RIGHT, y(v), y(v)))
        parts.append(f'<text x="{_LEFT - 6}" y="{y(v) + 4:.1f}" text-anchor="end">{v:.5g}</text>')
    parts.append(f'<text x="{_RIGHT}" y="{_BOTTOM + 34}" text-anchor="end">timed seconds</text>')
    return "".join(parts)


def _path(split: str, line: Pairs, x: Scale, y: Scale, low: float, high: float) -> str:
    """Values outside the window lie on its edge."""
    d = "L".join(f"{x(t):.1f} {y(min(high, max(low, v))):.1f}" for t, v in line)
    return f'<path class="{split}" d="M{d}"><title>{split}</title></path>'


def _guess(view: View, x: Scale, y: Scale, end: float) -> str:
    guess, target, best = view.guess, view.facts.target, view.points[-1]
    if guess is None or target is None or guess.low > end or not math.isfinite(best.validation):
        return ""
    left, right = x(guess.low), x(min(end, guess.high))
    band = (
        f'<rect class="range" x="{left:.1f}" width="{max(1.0, right - left):.1f}" '
        f'y="{_TOP}" height="{_BOTTOM - _TOP}"/>'
    )
    if guess.time > end:
        return band
    ends = f"M{x(best.time):.1f} {y(best.validation):.1f}L{x(guess.time):.1f} {y(target):.1f}"
    text = f'<text x="{left + 4:.1f}" y="{_BOTTOM - 6}">extrapolated</text>'
    return f'{band}<path class="guess" d="{ends}"/>{text}'


def _target(view: View, y: Scale) -> str:
    target = view.facts.target
    if target is None:
        return ""
    at = y(target)
    text = f'<text x="{_LEFT + 4}" y="{at - 5:.1f}">target {target:.6g}</text>'
    return _rule("rule", _LEFT, _RIGHT, at, at) + text


def _rule(kind: str, x1: float, x2: float, y1: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"/>'


def _keys(splits: Sequence[str]) -> str:
    places = enumerate(splits)
    return "".join(f'<text class="{s}" x="{_LEFT + 150 * i}" y="12">{s}</text>' for i, s in places)


def _ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers from low to high, about `count` of them."""
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    power = 10.0 ** math.floor(math.log10(span / count))
    step = next(m for m in (1, 2, 2.5, 5, 10, 20) if m * power >= 0.999 * span / count) * power
    first = math.ceil(low / step - 1e-9)
    return [float(f"{k * step:.12g}") for k in range(first, first + 4 * count) if k * step <= high]
