"""Keywords that functions share: kept in one `TypedDict`, shown as if each spelled them out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def spelled(words: type, of: Callable[..., Any], **defaults: object) -> Callable[[F], F]:
    """Give a function that takes the keywords of a `TypedDict` a signature that spells them out.

    A default is taken from `defaults`, else from the function that reads the keywords, else None.

    Args:
        words: the `TypedDict`.
        of: the function that reads the keywords.
        **defaults: defaults that `of` does not give.
    """
    import inspect  # the command line shows nothing of it

    def spell(function: F) -> F:
        signature = inspect.signature(function)
        own = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
        read = inspect.signature(of).parameters
        known = {**{name: one.default for name, one in read.items()}, **defaults}
        more = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=known.get(name),
                annotation=getattr(kind, "__forward_arg__", kind),
            )
            for name, kind in words.__annotations__.items()
        ]
        spelled_out = signature.replace(parameters=[*own, *more])
        function.__signature__ = spelled_out  # type: ignore[attr-defined]
        return function

    return spell
