"""How do learning rates and dropout change over a trial?  A picture."""

from collections.abc import Callable, Mapping
from pathlib import Path

_POINTS = 20_000  # steps that are drawn at the most: also short cycles are seen


def plot_schedules(
    path: Path,
    title: str,
    step_hint: int,
    factors: Mapping[str, Callable[[int], float] | None],
    dropout: Callable[[int], float] | None = None,
    end: int | None = None,
) -> None:
    """Write a PNG.

    Args:
        path: of the picture; its folder is made.
        title: of the picture.
        step_hint: steps that are drawn.
        factors: label -> schedule of the factor on the learning rate; None: constant.
        dropout: its rate by step, in a second panel.
        end: step after which the submission ends the trial.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    steps = range(0, step_hint + 1, max(1, step_hint // _POINTS))
    figure = Figure(figsize=(8, 4 if dropout is None else 6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = 1 if dropout is None else 2
    axes = figure.subplots(panels, 1, sharex=True, squeeze=False)[:, 0]
    for number, (label, factor) in enumerate(factors.items()):
        values = [1.0 if factor is None else factor(step) for step in steps]
        style = ("-", "--", "-.", ":")[number % 4]  # equal schedules lie over one another
        axes[0].plot(steps, values, style, lw=2, label=label)
    axes[0].set_ylabel("factor on the peak learning rate")
    axes[0].set_ylim(bottom=min(0.0, axes[0].get_ylim()[0]))
    if dropout is not None:
        axes[1].plot(steps, [dropout(step) for step in steps], color="tab:purple", lw=2)
        axes[1].set_ylabel("dropout rate")
    for panel in axes:
        panel.grid(alpha=0.3)
        panel.set_xlim(0, step_hint)
        if end is not None:
            panel.axvline(end, color="black", ls=":", label=f"the trial ends at step {end:,}")
    axes[0].legend(loc="best")
    axes[0].set_title(title)
    axes[-1].set_xlabel("step")
    axes[-1].xaxis.set_major_formatter(lambda step, _: f"{step:,.0f}")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
