"""Time courses in a panel: axis, segments, thinning."""

import numpy as np

from mvica.plotting.canvas import SPLIT_COLOUR, shortened

MAX_POINTS = 4000  # drawn along a trace: more would not be seen, and slows the figure
TICKS = 10  # numbers along an axis of several segments


def time_axis(n, times, segments):
    """Where each sample lies, the label of the axis, and its ticks (None: automatic)."""
    if times is None:
        return np.arange(n), "sample", None
    times = np.asarray(times, dtype=float)
    if times.shape != (n,):
        raise ValueError(f"times has shape {times.shape}, expected ({n},): one entry a sample")
    if len(segments) < 2:
        return times, "time (s)", None
    x, label = np.arange(n), "time in each condition (s)"
    starts = [start for _, start in segments]
    marks = []
    for start, end in zip(starts, [*starts[1:], n], strict=True):
        marks += [start + mark for mark in _round_times(times[start:end], TICKS // len(starts))]
    # Times of recordings carry float32 noise: without rounding, zero would read -1.5e-09.
    return x, label, (marks, [f"{round(times[mark], 6) + 0:.3g}" for mark in marks])


def _round_times(own, count):
    """Choose samples of a segment to write times at: zero, or the first, and round ones."""
    zero = int(np.argmin(np.abs(own))) if own[0] < 0 < own[-1] else 0
    length = own[-1] - own[0]
    if count < 2 or not length > 0:
        return [zero]
    step = next(s for s in _steps(length) if length / s <= count)
    away = own[zero] + step * np.arange(-count, count + 1)
    # Near a join the numbers of two segments would touch.
    inside = (away > own[0] + 0.1 * length) & (away < own[-1] - 0.1 * length)
    samples = [int(np.argmin(np.abs(own - time))) for time in away[inside]]
    return sorted({zero, *samples})


def _steps(length):
    """Yield 1, 2 and 5 times powers of ten, from far below the length on."""
    power = 10.0 ** (np.floor(np.log10(length)) - 2)
    for _ in range(4):
        yield from (power, 2 * power, 5 * power)
        power *= 10


def thinned(x, traces):
    """Shorten traces (k, n) to what can be seen: the least and the largest value of each bin."""
    n = len(x)
    if n <= MAX_POINTS:
        return x, traces
    edges = np.linspace(0, n, MAX_POINTS // 2 + 1).astype(int)[:-1]
    low = np.minimum.reduceat(traces, edges, axis=1)
    high = np.maximum.reduceat(traces, edges, axis=1)
    return np.repeat(x[edges], 2), np.stack([low, high], axis=2).reshape(len(traces), -1)


def mark_segments(ax, x, segments, ticks):
    """Draw the borders of segments and the time zero of each."""
    if len(segments) < 2:
        if x[0] < 0 < x[-1]:
            ax.axvline(0, color=SPLIT_COLOUR, linewidth=0.8, linestyle=":")
        return
    for _, start in segments[1:]:
        ax.axvline(x[start], color="black", linewidth=0.8)
    if ticks is not None:
        ax.set_xticks(*ticks)
        for mark, words in zip(*ticks, strict=True):
            if words == "0":
                ax.axvline(mark, color=SPLIT_COLOUR, linewidth=0.8, linestyle=":")


def name_segments(ax, x, segments, room):
    """Write the names of segments between the title and the panel, in `room` letters in all."""
    if len(segments) < 2:
        return
    ax.set_title(ax.get_title(loc="left"), fontsize=9, loc="left", pad=14)
    ends = [start for _, start in segments[1:]] + [len(x)]
    for (label, start), end in zip(segments, ends, strict=True):
        ax.annotate(
            shortened(label, max(2, room * (end - start) // len(x))),
            (x[start], 1.0),
            xytext=(1, 2),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            va="bottom",
            fontsize=7.5,
        )
