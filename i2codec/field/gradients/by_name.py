"""The gradients by name."""

from __future__ import annotations

from i2codec.field import registry
from i2codec.field.gradients.contract import Gradient
from i2codec.field.gradients.implicit import Implicit
from i2codec.field.gradients.one_step import OneStep
from i2codec.field.gradients.phantom import Phantom


def get_gradient(name: str, **options: object) -> Gradient:
    """The gradient ``one_step``, ``phantom`` or ``implicit``, built with ``options``.

    Raises
    ------
    OptionError
        If the name or an option is unknown.

    >>> get_gradient("phantom", terms=3)
    Phantom(terms=3, damping=1.0)
    """

    methods: dict[str, type[Gradient]] = {"implicit": Implicit, "one_step": OneStep, "phantom": Phantom}
    return registry.build(methods, name, options, role="gradient")
