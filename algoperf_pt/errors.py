"""What can go wrong in a way that the user can mend?  Each error names the thing, the value, the
expectation, the next step.
"""


class AlgoperfError(Exception):
    """Base of every error that is shown to the user as one message, without a traceback.

    Args:
        problem: what is wrong, naming the thing and its value.
        expected: what was expected instead, if that is not obvious.
        where: the file, configuration key or command line in which the thing stands.
        fix: what to do next.
    """

    def __init__(self, problem: str, *, expected: str = "", where: str = "", fix: str = "") -> None:
        self.problem, self.expected, self.where, self.fix = problem, expected, where, fix
        lines = [problem]
        lines += [f"  {name}: {text}" for name, text in self._details() if text]
        super().__init__("\n".join(lines))

    def _details(self) -> list[tuple[str, str]]:
        return [("expected", self.expected), ("where", self.where), ("fix", self.fix)]

    def __reduce__(self) -> tuple[object, ...]:
        """Errors cross process borders (data-loader workers), so they must pickle with
        their parts."""
        return _rebuild, (type(self), self.problem, self.expected, self.where, self.fix)


def _rebuild(
    kind: type[AlgoperfError], problem: str, expected: str, where: str, fix: str
) -> AlgoperfError:
    return kind(problem, expected=expected, where=where, fix=fix)


class ConfigError(AlgoperfError):
    """The configuration is unusable: nothing has been started."""


class DataError(AlgoperfError):
    """Raw or prepared data are missing, truncated, corrupt or of another version."""


class SubmissionError(AlgoperfError):
    """The submission broke its contract (batch size, returned values, state, parameters)."""


class IntegrityError(AlgoperfError):
    """Something that the harness owns was changed, or does not add up (clock, parameters,
    records)."""


class ResumeError(AlgoperfError):
    """An existing trial folder cannot be continued with this configuration."""
