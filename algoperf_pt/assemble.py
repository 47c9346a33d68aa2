"""From a configuration to a trial that is ready to train: device, data, workload, submission,
records.
"""

import inspect
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning import Fabric
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.fabric.strategies.ddp import DDPStrategy
from torch.nn.parallel import DistributedDataParallel

from algoperf_pt.checkpoint import Checkpoints
from algoperf_pt.config import config_hash
from algoperf_pt.cores import usable_cores
from algoperf_pt.display import make_display
from algoperf_pt.environment import write_meta
from algoperf_pt.errors import ConfigError, IntegrityError, SubmissionError
from algoperf_pt.heartbeat import CLOCK_FILE, Heartbeat
from algoperf_pt.hparams import Hparams
from algoperf_pt.instantiate import call_with, import_object, instantiate
from algoperf_pt.loggers import make_loggers
from algoperf_pt.optimizer_submission import OptimizerSubmission
from algoperf_pt.ranks import Ranks
from algoperf_pt.records import Records
from algoperf_pt.seeds import derive
from algoperf_pt.spec import WorkloadSpec, make_spec
from algoperf_pt.submission import Submission
from algoperf_pt.trial import Listener, Trial
from algoperf_pt.view import Engine
from algoperf_pt.workload import Workload
from algoperf_pt.workload_data import Loading, WorkloadData


def assemble(config: dict[str, Any], folder: Path, heartbeat: Heartbeat) -> tuple[Trial, Any]:
    """(trial, clock), set up and, if the folder holds a checkpoint, continued from it."""
    fabric = make_fabric(config["trainer"])
    ranks = Ranks(fabric.device)
    _agree_on_config(config, ranks)
    spec = make_spec(config)
    _note_missing_target(spec, ranks)
    data = make_data(config)
    workload = make_workload(config, spec, data)
    workload.reset_parameters(torch.Generator().manual_seed(derive(config["seed"], "init")))
    judge = make_workload(config, spec, data).to(ranks.device)
    if config["trainer"]["compile"]:
        compile_parts(workload, config["workload"])
        compile_parts(judge, config["workload"])
    module = fabric.setup_module(workload)
    records = Records(folder, active=ranks.is_zero)
    clock = instantiate(config["clock"])
    trial = Trial(
        config=config,
        workload=workload,
        judge=judge,
        submission=make_submission(config["submission"]),
        hparams=Hparams(config["submission"]["hparams"], set(config["submission"]["read"])),
        clock=clock,
        ranks=ranks,
        engine=Engine(module, fabric.backward, lambda: fabric.no_backward_sync(module)),
        records=records,
        checkpoints=Checkpoints(folder, config["keep_checkpoints"], warn=_warn(records)),
        listeners=_listeners(config, folder) if ranks.is_zero else [],
        heartbeats=[heartbeat],
    )
    _tell_point(trial)
    _set_up_submission(trial)
    _continue(trial, folder)
    write_meta(trial, folder)
    return trial, clock


def make_fabric(trainer: dict[str, Any]) -> Fabric:
    """Fabric for one rank, launched; numerics as the rules say (float32, TF32 only where asked)."""
    cuda = (
        torch.cuda.is_available()
        if trainer["accelerator"] == "auto"
        else trainer["accelerator"] == "cuda"
    )
    if cuda and not torch.cuda.is_available():
        raise ConfigError(
            "trainer.accelerator=cuda: torch sees no GPU",
            expected="a GPU and a CUDA build of torch",
            where="trainer.accelerator",
            fix="trainer=cpu, or check nvidia-smi and CUDA_VISIBLE_DEVICES",
        )
    torch.backends.cuda.matmul.allow_tf32 = trainer["tf32"]
    torch.backends.cudnn.allow_tf32 = trainer["tf32"]
    world, local = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    torch.set_num_threads(trainer["threads"] or max(1, usable_cores() // local))
    several = "RANK" in os.environ
    for name in ("lightning.fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.WARNING)  # their banners tell nothing new
    fabric = Fabric(
        accelerator="cuda" if cuda else "cpu",
        devices=local,
        num_nodes=world // local,
        strategy=_ddp() if several else "auto",
        plugins=[TorchElasticEnvironment()] if several else None,
    )
    fabric.launch()
    return fabric


def _ddp() -> DDPStrategy:
    """Gradients are averaged; buffers (running statistics) stay each rank's own until evaluated."""
    named = inspect.signature(DistributedDataParallel).parameters
    sync = "forward_sync_buffers" if "forward_sync_buffers" in named else "broadcast_buffers"
    options: dict[str, Any] = {sync: False}  # renamed in torch 2.14
    return DDPStrategy(gradient_as_bucket_view=True, **options)


def make_data(config: dict[str, Any]) -> WorkloadData:
    """The data module that conf/workload names, on the prepared folder."""
    workload, data = config["workload"], config["data"]
    kind = import_object(workload["data"]["_target_"], "workload.data._target_")
    options = workload["data"]["options"]

    def make() -> WorkloadData:
        module: WorkloadData = kind(
            root=Path(data["dir"], workload["data"]["dataset"]),
            dataset=workload["data"]["dataset"],
            preparer_version=workload["data"]["preparer_version"],
            num_examples=workload["num_examples"],
            eval_batch_size=workload["eval_batch_size"],
            loading=Loading(data["workers"], data["prefetch"]),
            **options,
        )
        return module

    return call_with(options, "workload.data.options", make)


def make_workload(config: dict[str, Any], spec: WorkloadSpec, data: WorkloadData) -> Workload:
    """The workload that conf/workload names."""
    kind = import_object(config["workload"]["_target_"], "workload._target_")
    model = config["workload"]["model"]

    def make() -> Workload:
        workload: Workload = kind(spec=spec, data=data, model=model)
        return workload

    return call_with(model, "workload.model", make)


def compile_parts(workload: Workload, config: dict[str, Any]) -> None:
    """torch.compile what the workload's YAML says: its model, its loss, both or nothing."""
    dynamic = config["compile_dynamic"]
    if config["compile"] in ("model", "all"):
        workload.model.compile(dynamic=dynamic)
    if config["compile"] in ("loss", "all"):
        compiled = torch.compile(workload.loss, dynamic=dynamic)
        workload.loss = compiled  # type: ignore[method-assign]


_PARTS = (
    *("optimizer", "schedule", "groups", "others", "average", "batch_size", "batch_sizes"),
    *("grad_clip", "label_smoothing", "dropout_rate", "stop_factor", "given"),
)


def make_submission(config: dict[str, Any]) -> Submission:
    """The submission that conf/submission names: OptimizerSubmission from its keys, others from
    `options`.
    """
    kind = import_object(config["_target_"], "submission._target_")
    if not (isinstance(kind, type) and issubclass(kind, Submission)):
        raise ConfigError(
            f"submission._target_={config['_target_']} is no Submission",
            expected="a subclass of algoperf_pt.submission.Submission",
            where="submission._target_",
            fix="for an optimizer class use submission.optimizer._target_=... instead",
        )
    options = dict(config["options"])
    if issubclass(kind, OptimizerSubmission):
        options = {key: config[key] for key in _PARTS} | options
    submission: Submission = kind(**options)
    return submission


def _agree_on_config(config: dict[str, Any], ranks: Ranks) -> None:
    hashes = ranks.gather(config_hash(config))
    if len(set(hashes)) > 1:
        raise IntegrityError(
            f"the ranks have different configurations (hashes {', '.join(h[:8] for h in hashes)})",
            expected="the same command, code and environment on all ranks",
        )


def _note_missing_target(spec: WorkloadSpec, ranks: Ranks) -> None:
    if not spec.has_target and ranks.is_zero:
        key = f"targets.workloads.{spec.name}"
        print(
            f"note: {spec.name} has no targets yet, so nothing is reached and its times cannot be "
            f"scored; target setting finds them: {key}.validation_target and .test_target",
            flush=True,
        )


def _tell_point(trial: Trial) -> None:
    """Hyperparameters that the trial's place gave it are not those of the YAML."""
    submission, place = trial.config["submission"], (trial.config["study"], trial.config["trial"])
    came_from, typed = submission["point"]["from"], submission["point"]["typed"]
    if came_from == "hparams" or trial.config["display"] == "none" or not trial.ranks.is_zero:
        return
    values = ", ".join(f"{name} {value}" for name, value in submission["hparams"].items())
    text = f"submission.{came_from}, study {place[0]}, trial {place[1]}"
    print(f"hyperparameters of {text}: {values}", flush=True)
    if typed:
        print(f"  given on the command line instead: {', '.join(typed)}", flush=True)


def _set_up_submission(trial: Trial) -> None:
    limit = trial.config["targets"]["protocol"]["setup_limit"]
    start = time.perf_counter()
    trial.setup_submission()
    trial.ranks.synchronize()
    trial.setup_seconds = time.perf_counter() - start
    if trial.ranks.agree([trial.setup_seconds])[0] > limit:
        raise SubmissionError(
            f"Submission.setup took {trial.setup_seconds:.1f} s",
            expected=f"at most {limit} s: the set-up is untimed, so it is bounded",
            where="targets.protocol.setup_limit",
        )
    dropped = getattr(trial.submission, "dropped", ())
    if dropped and trial.ranks.is_zero:
        name = trial.config["submission"]["optimizer"]["_target_"]
        print(f"note: {name} takes no {', '.join(dropped)}; left out", flush=True)
    unread = trial.hparams.unread()
    if unread and isinstance(trial.submission, OptimizerSubmission):
        raise SubmissionError(
            f"nothing reads the hyperparameter {unread[0]!r}",
            expected=f"${{submission.hparams.{unread[0]}}} somewhere in the submission's YAML",
            where="submission.hparams",
            fix="use it, or take it out of hparams and space: tuning it would change nothing",
        )


def _continue(trial: Trial, folder: Path) -> None:
    """Go on from the newest sound checkpoint; what the clock showed at the kill is charged."""
    ranks, path = trial.ranks, folder / CLOCK_FILE
    trial.attempt = ranks.gather(len(list(folder.glob("flags_*.json"))))[0]
    killed_at = Heartbeat(path).read()[1] if ranks.is_zero and path.exists() else 0.0
    killed_at = ranks.agree([killed_at])[0]
    if not trial.load_checkpoint(killed_at):
        trial.records.clear()
        trial.clock.charge_lost(killed_at)
    if ranks.is_zero:
        trial.heartbeats.append(Heartbeat(path))
        if trial.attempt:
            trial.records.event(
                "resumed", {"step": trial.step, "attempt": trial.attempt, "charged_to": killed_at}
            )


def _listeners(config: dict[str, Any], folder: Path) -> list[Listener]:
    return [*make_loggers(config, folder), *make_display(config["display"])]


def _warn(records: Records) -> Callable[[str], None]:
    def warn(message: str) -> None:
        print(f"warning: {message}", flush=True)
        records.event("warning", {"message": message})

    return warn
