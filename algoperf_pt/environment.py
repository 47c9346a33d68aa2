"""On what, with what code and data was a trial run?  AlgoPerf's meta_data and flags files, and our
fuller record.
"""

import hashlib
import os
import platform
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import psutil
import torch

import algoperf_pt
from algoperf_pt.calibrate.host import class_of
from algoperf_pt.calibrate.record import NAME as CALIBRATION
from algoperf_pt.calibrate.record import for_trial
from algoperf_pt.config import config_hash, flatten
from algoperf_pt.trial import Trial

_PACKAGES = ("algoperf_pt", "timing", "workloads", "optimizers", "conf")


def write_meta(trial: Trial, folder: Path) -> None:
    """meta_data_<p>.json, flags_<p>.json, hparams.json and environment.json of this attempt, and
    the machine's calibration if it has one."""
    records, p = trial.records, trial.attempt
    if not records.active:
        return
    records.write_json(f"meta_data_{p}.json", _algoperf_meta(trial))
    records.write_json(f"flags_{p}.json", flatten(trial.config))
    if trial.config["submission"]["tuning"] == "external":
        records.write_json("hparams.json", trial.config["submission"]["hparams"])
    environment = describe(trial) | {"calibration": _carry_calibration(trial, folder)}
    records.write_json("environment.json", environment)
    records.event("start", {"attempt": p, "setup_seconds": trial.setup_seconds, **environment})


def describe(trial: Trial) -> dict[str, Any]:
    """Versions, machine, numerics, seeds, and fingerprints of configuration, code and data."""
    return {
        "algoperf_pt": algoperf_pt.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "packages": {d.name: d.version for d in distributions() if d.name in _REPORTED},
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        "gpus": _gpus(),
        "driver": _driver(),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "platform": platform.platform(),
        "ranks": trial.ranks.world,
        "device": str(trial.ranks.device),
        "threads": torch.get_num_threads(),
        "hardware_class": class_of(
            trial.ranks.device, trial.ranks.world, torch.get_num_threads()
        ),
        "numerics": {
            "matmul_tf32": torch.backends.cuda.matmul.allow_tf32,
            "cudnn_tf32": torch.backends.cudnn.allow_tf32,
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "compile": (
                trial.config["workload"]["compile"]
                if trial.config["trainer"]["compile"]
                else "none"
            ),
        },
        "seed": trial.seed,
        "config_sha256": config_hash(trial.config),
        "source_sha256": source_hash(),
        "data_fingerprint": trial.workload.data.index.fingerprint,
        "dropped_arguments": list(getattr(trial.submission, "dropped", ())),
    }


_REPORTED = (
    "lightning",
    "hydra-core",
    "omegaconf",
    "numpy",
    "webdataset",
    "torchvision",
    "torchaudio",
    "triton",
)


def source_hash() -> str:
    """SHA-256 over the Python and YAML files of the installed packages: which code ran."""
    root = Path(algoperf_pt.__file__).parent.parent
    digest = hashlib.sha256()
    for package in _PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.suffix in (".py", ".yaml"):
                digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _carry_calibration(trial: Trial, folder: Path) -> str:
    """Copy the machine's calibration into the folder; the words about it for environment.json.

    One that an attempt on another machine left there goes: the folder's is that of this attempt.
    """
    content, words = for_trial(trial.ranks.device, torch.get_num_threads())
    if content is None:
        (folder / CALIBRATION).unlink(missing_ok=True)
    else:
        trial.records.write_json(CALIBRATION, content)
    return words


def _algoperf_meta(trial: Trial) -> dict[str, Any]:
    """The keys that AlgoPerf's tools read."""
    spec, data = trial.spec, trial.spec.num_examples
    memory, disk, net = psutil.virtual_memory(), psutil.disk_io_counters(), psutil.net_io_counters()
    frequency = psutil.cpu_freq()
    return {
        "workload.base_workload": trial.config["workload"]["base"] or spec.name,
        "workload.eval_batch_size": spec.eval_batch_size,
        "workload.eval_period_time_sec": spec.eval_period,
        "workload.loss_type": spec.loss_type,
        "workload.max_allowed_runtime_sec": spec.max_runtime,
        "workload.num_eval_train_examples": data["eval_train"],
        "workload.num_test_examples": data["test"],
        "workload.num_train_examples": data["train"],
        "workload.num_validation_examples": data["validation"],
        "workload.step_hint": spec.step_hint,
        "workload.target_metric_name": spec.metric,
        "workload.test_target_value": spec.test_target,
        "workload.validation_target_value": spec.validation_target,
        "cpu.freq.current": frequency.current if frequency else None,
        "mem.total": memory.total,
        "mem.available": memory.available,
        "mem.used": memory.used,
        "mem.percent_used": memory.percent,
        "mem.read_bytes_since_boot": disk.read_bytes if disk else None,
        "mem.write_bytes_since_boot": disk.write_bytes if disk else None,
        "net.bytes_sent_since_boot": net.bytes_sent if net else None,
        "net.bytes_recv_since_boot": net.bytes_recv if net else None,
        "gpu.count": torch.cuda.device_count(),
        "gpu_count": torch.cuda.device_count(),
        "gpu_model_name": _gpus()[0]["name"] if _gpus() else None,
        "gpu_driver": _driver(),
        "cpu_model_name": _cpu_name(),
        "cpu_count": os.cpu_count(),
        "os_platform": platform.platform(),
        "python_version": platform.python_version(),
        "python_compiler": platform.python_compiler(),
        "command_line": sys.argv,
        "rng_seed": trial.seed,
    }


def _gpus() -> list[dict[str, Any]]:
    if not torch.cuda.is_available():
        return []
    found = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
    return [{"name": p.name, "memory_bytes": p.total_memory} for p in found]


def _driver() -> str | None:
    path = Path("/proc/driver/nvidia/version")
    return path.read_text().splitlines()[0] if path.exists() else None


def _cpu_name() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return next(
        (x.partition(":")[2].strip() for x in lines if x.startswith("model name")),
        platform.processor(),
    )
