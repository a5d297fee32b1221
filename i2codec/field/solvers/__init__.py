"""Methods that find the fixed point z* = F(z*), behind one contract (see ``contract``)."""

from i2codec.field.solvers.anderson import Anderson
from i2codec.field.solvers.broyden import Broyden
from i2codec.field.solvers.by_name import get_solver
from i2codec.field.solvers.contract import Solution, Solver, Transition
from i2codec.field.solvers.picard import Picard

__all__ = ["Anderson", "Broyden", "Picard", "Solution", "Solver", "Transition", "get_solver"]
