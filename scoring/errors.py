"""What can go wrong with logs, rules or the command line?  Each message names the thing, where it
is, what was expected, and what to do next.
"""


class ScoringError(Exception):
    """Nothing was scored; `code` is the exit code of `python -m scoring`."""

    code = 2


class LogsError(ScoringError):
    """Logs that cannot be scored as they are."""

    code = 4


class RulesError(ScoringError):
    """Unknown or inconsistent rules, or a change to them that means nothing."""


class StrictError(ScoringError):
    """Strict: the logs are not what the rules ask for."""

    code = 3
