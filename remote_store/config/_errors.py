"""What can be wrong with a configuration."""

from __future__ import annotations

from typing import NamedTuple


class Problem(NamedTuple):
    """One thing that is wrong.

    Args:
        where: such as `"/etc/stores.toml: stores.raw.options.bucket"`; may be empty.
        what: what is wrong, and what to do about it; no values, which may be secret.
    """

    where: str
    what: str

    def below(self, *parents: str) -> Problem:
        """The same problem, seen from further up."""
        return Problem(".".join(filter(None, (*parents, self.where))), self.what)


class ConfigError(ValueError):
    """A configuration that cannot be used. Its message has one line per problem, and no secrets.

    Args:
        problems: all that is wrong.
    """

    def __init__(self, *problems: Problem) -> None:
        super().__init__(*problems)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All that is wrong."""
        return self.args

    def __str__(self) -> str:
        return "\n".join(": ".join(filter(None, problem)) for problem in self.problems)


def error(what: str, where: str = "") -> ConfigError:
    """The error of a single problem."""
    return ConfigError(Problem(where, what))
