"""What of a trial's configuration differs from what the same words would give by default?"""

from typing import Any

from algoperf_pt.config import compose_config, differences, flatten
from algoperf_pt.errors import AlgoperfError

_PLACES = ("experiment_dir", "data.dir", "seed")  # differ from machine to machine, and by trial


def differing(config: dict[str, Any]) -> dict[str, tuple[Any, Any]] | None:
    """{key: (value, default)}; None where the defaults cannot be composed (a submission of a
    folder that is not known here).
    """
    try:
        chosen = {
            "workload": config["workload"]["name"],
            "submission": config["submission"]["name"],
            "ruleset": config["ruleset"]["name"],
            "targets": f"v{str(config['targets']['version']).replace('.', '')}",
        }
        words = [f"{key}={value}" for key, value in chosen.items()]
        words += [f"{key}={config[key]}" for key in ("study", "trial", "base_seed")]
        default = flatten(compose_config(words, needs_data=False))
    except (AlgoperfError, KeyError, TypeError, ValueError):
        return None
    found = differences(flatten(config), default)
    return {key: pair for key, pair in found.items() if key not in _PLACES}
