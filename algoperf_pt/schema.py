"""Which keys does the configuration have, and of which type?  Hydra checks every YAML and every
override against this.

No torch here: a wrong configuration is answered in half a second.
"""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING


@dataclass
class DataFolder:
    """Where a workload's prepared data are (conf/workload: data)."""

    _target_: str = MISSING  # the WorkloadData class
    dataset: str = MISSING  # folder below data.dir, and name in the index
    preparer_version: int = MISSING
    options: dict[str, Any] = field(default_factory=dict)  # further arguments of the class


@dataclass
class Workload:
    """conf/workload/<name>.yaml."""

    _target_: str = MISSING
    name: str = MISSING
    base: str | None = None  # the workload of which this is a variant
    tier: str = "full"  # full | development | tiny | proxy: only full ones are ever scored
    model: dict[str, Any] = field(default_factory=dict)
    data: DataFolder = field(default_factory=DataFolder)
    prepare: dict[str, Any] = field(default_factory=dict)
    num_examples: dict[str, int] = MISSING  # train, eval_train, validation, test
    eval_batch_size: int = MISSING
    baseline_batch_size: int = MISSING
    loss_type: str = MISSING
    dropout_rate: float | None = None
    compile: str = "none"  # what torch.compile gets: none | model | loss | all (both)
    compile_dynamic: bool | None = None  # shapes: true dynamic, false static, null as torch finds


@dataclass
class Submission:
    """conf/submission/<name>.yaml."""

    _target_: str = "algoperf_pt.optimizer_submission.OptimizerSubmission"
    name: str = MISSING
    tuning: str = "external"  # external: a point of `space`; self: no hyperparameters
    hparams: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    schedule: Any = None  # {_target_: step -> factor on the learning rate}
    groups: list[dict[str, Any]] = field(default_factory=list)  # parameters with other settings
    others: list[dict[str, Any]] = field(default_factory=list)  # parameters with other optimizers
    average: Any = None  # {_target_: ...} of weights, judged in their place
    batch_size: int | None = None
    batch_sizes: dict[str, int] = field(default_factory=dict)  # by workload, where they differ
    grad_clip: float | None = None
    label_smoothing: float | None = None
    dropout_rate: Any = None  # a rate, or {_target_: step -> rate}
    stop_factor: float | None = None  # share of the step hint after which the trial ends
    space: Any = None  # ranges by name, or a JSON or YAML file of them or of points
    points: list[dict[str, Any]] | None = None
    options: dict[str, Any] = field(default_factory=dict)  # arguments of a class of your own
    path: str | None = None  # file of a submission that was written for AlgoPerf's harness


@dataclass
class Target:
    """One workload's line in conf/targets.  Seconds, steps."""

    metric: str = MISSING
    direction: str = MISSING
    validation_target: float = MISSING
    test_target: float | None = None
    strict: bool = True
    max_runtime: float = MISSING
    eval_period: float = MISSING
    step_hint: int = MISSING


@dataclass
class Protocol:
    """The odd rules of a benchmark version."""

    evaluate_after_first_step: bool = True
    late_evaluation: bool = False
    stop_on: list[str] = field(default_factory=lambda: ["validation", "test"])
    setup_limit: float = MISSING  # s


@dataclass
class RulesetNumbers:
    """Studies, trials and budget of one rule set."""

    studies: int = MISSING
    trials: int = MISSING
    budget_factor: float = MISSING


@dataclass
class Targets:
    """conf/targets/<version>.yaml."""

    version: str = MISSING
    released: str | None = None
    provenance: Any = None
    hardware: dict[str, Any] = field(default_factory=dict)
    protocol: Protocol = field(default_factory=Protocol)
    rulesets: dict[str, RulesetNumbers] = field(default_factory=dict)
    full: list[str] = field(default_factory=list)  # the scored workloads
    qualification: list[str] = field(default_factory=list)  # the cheap subset of them
    workloads: dict[str, Target] = field(default_factory=dict)


@dataclass
class Benchmark:
    """conf/benchmark/<name>.yaml: what `-m benchmark=<name>` runs."""

    name: str = MISSING
    workloads: list[str] = MISSING
    policy: dict[str, Any] | None = None  # by _target_: which trials are run, how far; null: all


@dataclass
class Ruleset:
    """conf/ruleset/<name>.yaml."""

    name: str = MISSING
    tuning: str = MISSING  # which submissions may enter: external | self


@dataclass
class Trainer:
    """conf/trainer/<name>.yaml: the machine."""

    accelerator: str = "auto"  # auto | cpu | cuda
    devices: str = "1"  # processes on this machine; "all": one for each GPU
    threads: int | None = None  # CPU threads per process; null: cores / processes
    compile: bool = True  # allow what workload.compile says
    tf32: bool = False  # TF32 products on GPUs; the rules up to 0.6 say float32
    hang_steps: float = 20.0  # a trial hangs when it is silent for so many median steps, but
    hang_floor: float = 300.0  # s: never before so many, and
    hang_timeout: float = 1800.0  # s: always after so many
    eval_timeout: float = 7200.0  # s that one evaluation, or the set-up, may take


@dataclass
class Logger:
    """conf/logger/<name>.yaml: training rows and where they go beside the CSV files."""

    first: int = 100  # the steps 0 to this one are all written
    every: int = 500  # steps between the rows after them
    tensorboard: bool = True
    wandb: bool = False
    wandb_project: str = "algoperf_pt"


@dataclass
class Data:
    """conf/data/<name>.yaml: where data are and how they are loaded."""

    dir: str = MISSING
    workers: int = 0  # loader processes per rank
    prefetch: int = 2  # batches ahead per worker


@dataclass
class Config:
    """A trial: a workload, a submission, rules, a machine."""

    workload: Workload = field(default_factory=Workload)
    submission: Submission = field(default_factory=Submission)
    ruleset: Ruleset = field(default_factory=Ruleset)
    targets: Targets = field(default_factory=Targets)
    trainer: Trainer = field(default_factory=Trainer)
    logger: Logger = field(default_factory=Logger)
    data: Data = field(default_factory=Data)
    clock: dict[str, Any] = field(default_factory=dict)
    study: int = 0
    trial: int = 1
    seed: int | None = None  # null: from (base_seed, study, trial)
    base_seed: int = 0  # of all trials of a benchmark: their seeds, who takes which point
    max_steps: int | None = None
    eval_every_steps: int | None = None
    pause_at: float | None = None
    keep_checkpoints: int = 2
    display: str = "auto"  # auto | rich | plain | none
    experiment_dir: str = MISSING


def register() -> None:
    """Make the schema known to Hydra as the config named "schema"."""
    ConfigStore.instance().store(name="schema", node=Config, provider="algoperf_pt")
