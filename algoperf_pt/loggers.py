"""Where else do rows go?  TensorBoard by default, Weights & Biases as an option; CSV and events are
in records.py.
"""

from pathlib import Path
from typing import Any

from algoperf_pt.errors import ConfigError
from algoperf_pt.trial import Listener, Trial


def make_loggers(config: dict[str, Any], folder: Path) -> list[Listener]:
    """The loggers that conf/logger asks for; they start their threads now, before the
    clock runs."""
    found: list[Listener] = []
    if config["logger"]["tensorboard"]:
        found.append(TensorBoard(folder))
    if config["logger"]["wandb"]:
        found.append(WeightsAndBiases(config, folder))
    return found


class TensorBoard:
    """Scalars in an event file in the trial folder: training rows as train_step/..., evaluations by
    split.
    """

    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def on_log(self, trial: Trial, row: dict[str, float], elapsed: float) -> None:
        """A step's metrics."""
        for name, value in row.items():
            if name != "global_step":
                self._writer.add_scalar(f"train_step/{name}", value, int(row["global_step"]))

    def on_evaluation_end(self, trial: Trial, row: dict[str, float]) -> None:
        """An evaluation's row."""
        for name, value in row.items():
            self._writer.add_scalar(name, value, int(row["global_step"]))
        self._writer.flush()

    def on_end(self, trial: Trial) -> None:
        """Write what is buffered."""
        self._writer.close()


class WeightsAndBiases:
    """The same rows in a W&B run named after the trial folder."""

    def __init__(self, config: dict[str, Any], folder: Path) -> None:
        try:
            import wandb
        except ImportError as error:
            raise ConfigError(
                "logger.wandb=true, but wandb is not installed",
                where="conf/logger",
                fix="pip install 'algoperf-pt[wandb]', or logger=default",
            ) from error
        name = "/".join(folder.parts[-4:])
        project = config["logger"]["wandb_project"]
        self._run = wandb.init(
            project=project, name=name, config=config, dir=str(folder), resume="allow"
        )

    def on_log(self, trial: Trial, row: dict[str, float], elapsed: float) -> None:
        """A step's metrics."""
        self._run.log({f"train_step/{k}": v for k, v in row.items()}, step=int(row["global_step"]))

    def on_evaluation_end(self, trial: Trial, row: dict[str, float]) -> None:
        """An evaluation's row."""
        self._run.log(row, step=int(row["global_step"]))

    def on_end(self, trial: Trial) -> None:
        """Close the run."""
        self._run.finish()
