"""What every way of differentiating the fixed point takes and returns."""

from __future__ import annotations

import abc

from torch import Tensor

from i2codec.field.solvers.contract import Transition


class Gradient(abc.ABC):
    """A way of differentiating z* = F(z*) with its options; call it to attach z* to the graph.

    None of them keeps the solver's steps: memory does not grow with their number.
    """

    @abc.abstractmethod
    def __call__(self, transition: Transition, fixed_point: Tensor) -> Tensor:
        """The state ``[N, w]`` to read out, differentiable in whatever F depends on.

        Parameters
        ----------
        transition:
            F, with its graph.
        fixed_point:
            z* or an estimate of it, from a solver; treated as a constant.
        """
