"""What does a JSON file of a trial say?  Bounded in size and depth: logs come from strangers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scoring.errors import LogsError

MOST_BYTES = 4 << 20  # AlgoPerf's largest meta_data file has about 10 kB


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file; {} if there is no such file.

    Raises:
        LogsError: too large, not JSON, nested too deeply, or no object.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise LogsError(f"{path}: {error.strerror}") from error
    if len(content) > MOST_BYTES:
        raise LogsError(f"{path} has more than {MOST_BYTES >> 20} MiB; not read")
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise LogsError(f"{path} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise LogsError(f"{path} holds no JSON object but a {type(found).__name__}")
    return found
