"""algoperf-train: the door.  Composes and checks the configuration without torch, then starts the
trial.
"""

import sys

import hydra
from omegaconf import DictConfig

from algoperf_pt import schema
from algoperf_pt.config import compose_config, register_resolvers
from algoperf_pt.driver import run_here
from algoperf_pt.errors import AlgoperfError, ConfigError
from algoperf_pt.help import HELP_FLAGS, print_help
from algoperf_pt.instantiate import find_own_modules
from algoperf_pt.pipe import outlive_readers
from algoperf_pt.status import EXIT_CODES, Status

_MANY = ("-m", "--multirun", "--dry-run")
_DRY_RUN = "hydra.sweeper.dry_run=true"
# What Hydra itself answers: looking at the configuration.
_HYDRA_FLAGS = (
    "--cfg",
    "-c",
    "--info",
    "-i",
    "--hydra-help",
    "--version",
    "-sc",
    "--shell-completion",
)


def main(arguments: list[str] | None = None) -> None:
    """Entry point; ends the process with the exit code of the trial's status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    outlive_readers()
    find_own_modules()
    if any(a in HELP_FLAGS for a in arguments):
        print_help(_value_of("--config-dir", arguments))
        sys.exit(0)
    if any(a.split("=")[0] in _HYDRA_FLAGS for a in arguments):
        _hydra(arguments)
        return
    try:
        overrides, config_dir = _split(arguments)
        if set(arguments) & set(_MANY):
            sys.exit(_many(overrides, config_dir))
        _refuse_benchmark(overrides)
        sys.exit(run_here(compose_config(overrides, config_dir)))
    except AlgoperfError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(EXIT_CODES[Status.CONFIG_ERROR])


def _split(arguments: list[str]) -> tuple[list[str], str | None]:
    """(overrides, config_dir); both `--config-dir X` and `--config-dir=X`, anywhere."""
    config_dir = _value_of("--config-dir", arguments)
    rest, skip = [], False
    for argument in arguments:
        if skip:
            skip = False
        elif argument in ("--config-dir", "-cd"):
            skip = True
        elif not argument.startswith("--config-dir="):
            rest.append(argument)
    return rest, config_dir


def _value_of(flag: str, arguments: list[str]) -> str | None:
    for number, argument in enumerate(arguments):
        if argument.startswith(flag + "="):
            return argument.partition("=")[2]
        if argument == flag and number + 1 < len(arguments):
            return arguments[number + 1]
    return None


def _many(words: list[str], config_dir: str | None) -> int:
    """Studies of trials, each in a process of its own."""
    from algoperf_pt.sweep.start import multirun  # a single trial does not wait for it

    dry = [_DRY_RUN] if "--dry-run" in words else []
    return multirun([word for word in words if word not in _MANY] + dry, config_dir)


def _refuse_benchmark(words: list[str]) -> None:
    typed = next((word for word in words if word.startswith("benchmark=")), None)
    if typed is not None:
        raise ConfigError(
            f"{typed} is a list of workloads",
            expected="one workload=..., or -m",
            where="command line",
            fix=f"algoperf-train -m {typed} ...",
        )


def _hydra(arguments: list[str]) -> None:
    """Hydra's own application, which only shows the configuration."""
    schema.register()
    register_resolvers()
    sys.argv[1:] = arguments

    @hydra.main(config_path="pkg://conf", config_name="train", version_base="1.3")
    def job(node: DictConfig) -> None:
        """Never called: the flags that lead here only look."""

    job()
