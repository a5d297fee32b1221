"""The solvers by name."""

from __future__ import annotations

from i2codec.field import registry
from i2codec.field.solvers.anderson import Anderson
from i2codec.field.solvers.broyden import Broyden
from i2codec.field.solvers.contract import Solver
from i2codec.field.solvers.picard import Picard


def get_solver(name: str, **options: object) -> Solver:
    """The solver ``picard``, ``anderson`` or ``broyden``, built with ``options``.

    Raises
    ------
    OptionError
        If the name or an option is unknown.

    >>> get_solver("anderson", window=3)
    Anderson(window=3, ridge=1e-10)
    """

    methods: dict[str, type[Solver]] = {"anderson": Anderson, "broyden": Broyden, "picard": Picard}
    return registry.build(methods, name, options, role="solver")
