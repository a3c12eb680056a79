"""Arguments that do not fit: an error of Python's own becomes one that names the argument.

Nothing is checked before a call, which costs time and refuses what would have worked. Where a call ends in a raw
``TypeError`` or the like, its arguments are compared with the annotations; the first that does not fit is the answer:

    katz_centrality(graph, alpha="x")
    -> ufunc 'multiply' did not contain a loop with signature matching types ...
    -> alpha of katz_centrality is a number; got the text 'x'.

What code of the user raised (a rule, a module, a function that was passed) stays as it is, and so does what no argument
explains. The raw error is the cause of ours.
"""

from __future__ import annotations

import ast
import inspect
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

from axonometry.annotations import WORDS, fits, type_in_words
from axonometry.errors import ArgumentError, AxonometryError

Public = TypeVar("Public", bound=Callable[..., Any])
REMEDIES = {
    "NeuralGraph": "Capture the module first: graph = ax.capture(module, example)",
    "Module": "Pass the module itself",
    "Tensor": "Pass a tensor, such as torch.as_tensor of an array or a list",
}


INSTALLED = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))
OURS = str(Path(__file__).parent)
TYPED = ("<stdin>", "<ipython", "<doctest")


def argument_errors(function: Public) -> Public:
    """Decorator of what users call, functions, methods and classes: raw errors name the argument that does not fit.

    >>> @argument_errors
    ... def doubled(values: list[float], times: int = 1) -> list[float]:
    ...     return [2 * value for value in values] * times
    >>> doubled([1.0], times=2)
    [2.0, 2.0]
    >>> doubled([1.0], times="x")
    Traceback (most recent call last):
        ...
    axonometry.errors.ArgumentError: times of doubled is a whole number; got the text 'x'...
    """
    if isinstance(function, type):
        for name, value in list(vars(function).items()):
            if inspect.isfunction(value) and (name == "__init__" or not name.startswith("_")):
                setattr(function, name, argument_errors(value))
        return cast("Public", function)

    if inspect.isgeneratorfunction(function):

        @wraps(function)
        def going(*args: Any, **kwargs: Any) -> Any:
            try:
                yield from function(*args, **kwargs)
            except Exception as error:
                _explain(error, function, args, kwargs)
                raise

        return cast("Public", going)

    @wraps(function)
    def answering(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            _explain(error, function, args, kwargs)
            raise

    return cast("Public", answering)


def _explain(error: Exception, function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Raise what an argument that does not fit explains; an error that none explains is left to be raised again.

    An error of ours says enough, but for one about an argument that was passed on, under another name perhaps.
    """
    if isinstance(error, ArgumentError) or not (isinstance(error, AxonometryError) or _of_user(error, function)):
        found = _misfit(function, args, kwargs)
        if found is not None:
            raise found from error


def _misfit(function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ArgumentError | None:
    """The error about the first argument that does not fit; None where all do, or the call itself is a wrong one."""
    try:
        given = inspect.signature(function).bind(*args, **kwargs)
    except TypeError:
        return None
    hints = _hints(inspect.unwrap(function))
    for name, value in _one_by_one(given):
        hint = hints.get(name, Any)
        if not fits(value, hint):
            called = function.__qualname__.removesuffix(".__init__")
            return ArgumentError(f"{name} of {called} is {type_in_words(hint)}", _came(value), _remedy(hint, called))
    return None


def _one_by_one(given: inspect.BoundArguments) -> Iterator[tuple[str, Any]]:
    """Arguments by name, those behind ``*`` and ``**`` each by itself."""
    for name, value in given.arguments.items():
        kind = given.signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_POSITIONAL:
            yield from ((name, one) for one in value)
        elif kind is inspect.Parameter.VAR_KEYWORD:
            yield from ((name, one) for one in value.values())
        else:
            yield name, value


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """The annotations that can be resolved, those with names that are there for type checkers alone too."""
    hints = dict(inspect.get_annotations(function))
    names = _names_of(function) if any(isinstance(hint, str) for hint in hints.values()) else {}
    for name, hint in hints.items():
        if isinstance(hint, str):
            hints[name] = Any
            with suppress(Exception):  # nothing worse than an argument that is not looked at
                hints[name] = eval(hint, names)  # noqa: S307 - our own annotation
    return hints


def _names_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The names in a function's module, with what it imports ``if TYPE_CHECKING``."""
    module = sys.modules[function.__module__]
    names = dict(vars(module))
    with suppress(OSError, TypeError):  # no source: a notebook's cell, a doctest
        for block in ast.parse(inspect.getsource(module)).body:
            if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING":
                for line in block.body:
                    with suppress(ImportError):
                        exec(compile(ast.Module([line], []), "", "exec"), names)  # noqa: S102 - our own imports
    return names


def _of_user(error: Exception, function: Callable[..., Any]) -> bool:
    """Whether code that is neither ours nor an installed library's was running, below the function itself."""
    own = getattr(inspect.unwrap(function), "__code__", None)
    step = error.__traceback__ and error.__traceback__.tb_next
    while step is not None:
        code = step.tb_frame.f_code
        file = code.co_filename  # of compiled code it is such as numpy/random/bit_generator.pyx
        step = step.tb_next
        if code is own or code.co_qualname.startswith(f"{function.__qualname__}.<locals>."):
            continue
        if file.startswith(TYPED) or (file.endswith(".py") and not file.startswith((OURS, *INSTALLED))):
            return True
    return False


def _came(value: object) -> str:
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple):  # tensors, arrays and frames
        return f"{WORDS.get(type(value).__name__, (f'a {type(value).__name__}',))[0]} of shape {tuple(shape)}"
    if value is None or isinstance(value, (bool, int, float, str)):
        return f"{'the text ' if isinstance(value, str) else ''}{value!r:.60}"
    if isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType)):
        return f"the {'class' if isinstance(value, type) else 'function'} {value.__name__}"
    empty = "an empty" if isinstance(value, (list, tuple, dict)) and not value else "a"
    return f"{empty} {type(value).__name__}"


def _remedy(hint: Any, called: str) -> str:
    kinds = [getattr(one, "array_type", one) for one in (get_args(hint) or (hint,))]
    named = [REMEDIES[kind.__name__] for kind in kinds if getattr(kind, "__name__", None) in REMEDIES]
    return named[0] if named else f"help({called}) says what it takes"
