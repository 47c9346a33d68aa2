"""What does a JSON file of a trial say?  Bounded in size and depth: logs come from strangers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scoring.errors import LogsError
from scoring.logs.open_file import read_file

MOST_BYTES = 4 << 20  # AlgoPerf's largest meta_data file has about 10 kB


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file; {} if there is no such file.

    Raises:
        LogsError: too large, not JSON, nested too deeply, or no object.
    """
    content = read_file(path, MOST_BYTES)
    if content is None:
        return {}
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise LogsError(f"{path} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise LogsError(f"{path} holds no JSON object but a {type(found).__name__}")
    return found
