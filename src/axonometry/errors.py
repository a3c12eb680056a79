"""Exceptions that say what is wrong, and what to do about it."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class AxonometryError(Exception):
    """Base of every error that Axonometry raises on purpose.

    >>> print(AxonometryError("a learning rate is above 0", "-1", "Pass a positive number"))
    a learning rate is above 0; got -1. Pass a positive number.
    >>> print(AxonometryError("no such folder: nope"))
    no such folder: nope.

    Args:
        rule: What has to hold, or what is wrong, as a sentence without its full stop.
        came: What was found instead; empty where the rule says it all.
        remedy: What the user can do now.
    """

    def __init__(self, rule: str, came: str = "", remedy: str = "") -> None:
        self.rule, self.came, self.remedy = rule, came, remedy
        sentences = [f"{rule}; got {came}" if came else rule, remedy]
        super().__init__(" ".join(f"{sentence.rstrip('.')}." for sentence in sentences if sentence).replace("?.", "?"))

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        """Survive the way back from a worker process."""
        return type(self), (self.rule, self.came, self.remedy)


def closest(names: str | Iterable[str], known: Iterable[str], remedy: str = "") -> str:
    """The remedy for names that are not known: first the known ones that each is close to, if there are any.

    >>> closest("adaam", ["sgd", "adam", "adamw"], "Choose from: sgd, adam, adamw")
    'Did you mean adam or adamw? Choose from: sgd, adam, adamw'
    >>> closest("vgg", ["lenet"], "Choose from: lenet"), closest(["sead", "tempo"], ["seed"])
    ('Choose from: lenet', 'Did you mean seed?')

    Args:
        names: The wrong name, or several.
        known: The right ones.
        remedy: What the user can do besides.
    """
    there, wrong = list(known), [names] if isinstance(names, str) else list(names)
    near = dict.fromkeys(match for name in wrong for match in get_close_matches(name, there, n=2))
    return f"Did you mean {' or '.join(near)}? {remedy}".rstrip() if near else remedy


def corrupt_file(path: Path, found: object) -> str:
    """The rule of an error about a file that cannot be read as what its name says.

    >>> corrupt_file(Path("run.json"), "no format version"), corrupt_file(Path("w.npz"), EOFError("too short"))
    ('corrupt file: run.json: no format version', 'corrupt file: w.npz: EOFError: too short')

    Args:
        path: The file.
        found: What is wrong with it in a few words, or the exception that reading it raised.
    """
    words = f"{type(found).__name__}: {found}" if isinstance(found, Exception) else str(found)
    return f"corrupt file: {path}: {next(iter(words.strip().splitlines()), '')[:300]}"


class CaptureError(AxonometryError):
    """A module could not be turned into a program."""


class UnknownOperationError(CaptureError):
    """The program holds an operation that no rule describes."""


class ValuesError(AxonometryError):
    """Node values do not belong to the graph, or tensors do not have the group's shape."""


class SamplesError(AxonometryError):
    """Samples do not fit the network's inputs, there are none, or one is not finite at some neuron."""


class NonfiniteError(SamplesError):
    """A sample is NaN or infinite at some neuron."""


class WeightsError(AxonometryError):
    """A state dict does not fit the program."""


class TooLargeError(AxonometryError):
    """The result would not fit in memory; the message names the size."""


class ConvergenceError(AxonometryError):
    """An iteration did not reach its tolerance, or has no single limit."""


class RunError(AxonometryError):
    """A run folder is corrupt, of a newer format, or in use."""


class WriteError(RunError):
    """A file could not be written; what was in its place before is intact.

    A kind of :class:`RunError`, so that whoever catches the errors of a recording catches a full disk too.
    """


class CheckpointError(AxonometryError):
    """A checkpoint file is corrupt, unsafe or of an unknown kind."""


class DataError(AxonometryError):
    """A data set's file is missing or corrupt."""


class ArgumentError(AxonometryError, TypeError):
    """An argument is not of the type that a function takes; a TypeError, as Python's own would be."""


class ConfigurationError(AxonometryError):
    """A configuration names something that does not exist or contradicts itself."""


class PredictionError(AxonometryError, ValueError):
    """Runs, features or a saved predictor do not fit a prediction; a ValueError, as scikit-learn expects."""


class MissingExtraError(AxonometryError):
    """An optional dependency is not installed."""

    @classmethod
    def of(cls, package: str, extra: str) -> "MissingExtraError":
        """The error for one package of one extra."""
        return cls(f"missing package: {package}", "", f"Install it with: pip install 'axonometry[{extra}]'")
