"""What can be said on the command line?  The groups, their choices, and a few examples."""

from importlib.resources import files
from pathlib import Path

HELP_FLAGS = ("--help", "-h")

_HEAD = """\
algoperf-train (python train.py): train a workload with a submission until its validation target.

  python train.py workload=digits submission=nadamw
  python train.py workload=digits submission.hparams.learning_rate=0.01
  python train.py workload=digits submission.optimizer._target_=my_package.MyOptimizer
  torchrun --nproc-per-node=8 train.py workload=mnist          (or: trainer=ddp)
  python train.py --config-dir my_conf workload=mnist submission=mine
  python train.py -m workload=wmt,ogbg submission=nadamw --dry-run   (all studies and trials)

Groups (choose with group=choice):
"""
_TAIL = """
Frequent keys: study, trial, seed, max_steps, eval_every_steps, experiment_dir, data.dir,
trainer.devices, display.
python -m algoperf_pt.explain shows what a submission does to each tensor, and its schedule;
python -m algoperf_pt.new writes a folder for an optimizer or a workload of your own.
--cfg job shows the composed configuration; -m runs the studies and trials of the rule set, each
trial in its own process (hydra/launcher=local | slurm); --dry-run shows what it would do.
Exit codes: 0 target reached; 2 configuration error; 10 budget; 11 step limit; 13 diverged;
the others: docs/experiment_folder.md."""


def print_help(config_dir: str | None = None) -> None:
    """Print the groups with their choices, the user's own folder included."""
    roots = [Path(str(files("conf"))), *([Path(config_dir)] if config_dir else [])]
    print(_HEAD, end="")
    for group, choices in sorted(groups(roots).items()):
        print(f"  {group:<11} {', '.join(choices)}")
    print(_TAIL)


def groups(roots: list[Path]) -> dict[str, list[str]]:
    """Group -> sorted choices found below the folders."""
    found: dict[str, set[str]] = {}
    for root in roots:
        for path in root.glob("*/*.yaml"):
            if not path.stem.startswith("_"):  # parts of other files
                found.setdefault(path.parent.name, set()).add(path.stem)
    return {group: sorted(choices) for group, choices in found.items()}
