"""Which version of the targets has a workload, where the user names none?  No torch here."""

from collections.abc import Sequence

from algoperf_pt.config import Config, compose_config
from algoperf_pt.errors import ConfigError

_VERSIONS = ("v06", "v10", "v05")  # the default one first


def compose_somehow(
    words: Sequence[str], config_dir: str | None = None
) -> tuple[Config, list[str]]:
    """(configuration, words with one for the targets); the data need not be there.

    Args:
        words: overrides, a workload among them.
        config_dir: the user's own folder of configuration groups.

    Raises:
        ConfigError: that of the default version, if no version has the workload.
    """
    given = any(word.startswith("targets=") for word in words)
    first: ConfigError | None = None
    for more in [[]] if given else [[f"targets={version}"] for version in _VERSIONS]:
        try:
            every = [*words, *more]
            return compose_config(every, config_dir, needs_data=False), every
        except ConfigError as error:
            first = first or error
    assert first is not None
    raise first
