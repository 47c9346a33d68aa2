"""algoperf-train: the door.  Composes and checks the configuration without torch, then starts the
trial.
"""

import sys

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from algoperf_pt import schema
from algoperf_pt.config import compose_config, finish, register_resolvers
from algoperf_pt.driver import run_apart, run_here
from algoperf_pt.errors import AlgoperfError
from algoperf_pt.help import HELP_FLAGS, print_help
from algoperf_pt.instantiate import find_own_modules
from algoperf_pt.status import EXIT_CODES, Status

# What Hydra itself answers: multirun, and looking at the configuration.
_HYDRA_FLAGS = (
    "-m",
    "--multirun",
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
    find_own_modules()
    if any(a in HELP_FLAGS for a in arguments):
        print_help(_value_of("--config-dir", arguments))
        sys.exit(0)
    if any(a.split("=")[0] in _HYDRA_FLAGS for a in arguments):
        _hydra(arguments)
        return
    try:
        overrides, config_dir = _split(arguments)
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


def _hydra(arguments: list[str]) -> None:
    """Hydra's own application: under -m each job is a fresh process (a trial never shares one with
    another).
    """
    schema.register()
    register_resolvers()
    sys.argv[1:] = arguments

    @hydra.main(config_path="pkg://conf", config_name="train", version_base="1.3")
    def job(node: DictConfig) -> int:
        overrides = HydraConfig.get().overrides.task
        return run_apart(finish(node, list(overrides)))

    job()
