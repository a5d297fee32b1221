"""The synthesis in compiled loops, on the CPU: the fast paths of ``field.grid_module``, with gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from i2codec.field.grid_module import GridField
from i2codec.field.interpolation import interpolation_taps, level_extents
from i2codec.fit import synthesis_kernel as kernel
from i2codec.fit.compiled import bands, in_threads

_LEAST_SAMPLES, _LEAST_ROWS = 8192, 16  # fewer are not worth a thread

Arrays = list[NDArray[Any]]


class FastGridField(GridField):
    """The same field; its layers are compiled loops."""

    def inject(self, values: Tensor) -> Tensor:
        """As its plain twin."""
        flat = values.reshape(values.shape[0], -1)
        first = (self.tensors["E_1"] * self.tensors["gains"])[:, -len(flat) :]
        tensors = (flat, first, self.tensors["e_1"], self.tensors["E_2"], self.tensors["e_2"])
        u: Tensor = _ExplicitLayer.apply(*(tensor.contiguous() for tensor in tensors))  # type: ignore[no-untyped-call]
        return u.reshape(-1, *values.shape[1:])

    def layer(self, z: Tensor, u: Tensor, recurrence: Tensor) -> Tensor:
        """As its plain twin."""
        result: Tensor = _StencilLayer.apply(z.contiguous(), u.contiguous(), recurrence.contiguous())  # type: ignore[no-untyped-call]
        return result


class FastLatentReader:
    """Reads a pyramid as :class:`~i2codec.field.grid_module.LatentReader` does, by four taps instead of matrices.

    Parameters
    ----------
    extents, positions, levels:
        As there.
    """

    def __init__(self, extents: tuple[int, ...], positions: Sequence[NDArray[np.floating]], *, levels: range) -> None:
        """Find the taps of each level and axis."""
        self._extents = [level_extents(extents, level) for level in levels]
        self._shape = tuple(len(place) for place in positions)
        self._axes = [
            [_Axis.of(place, node_count=count, level=level) for place, count in zip(positions, counts, strict=True)]
            for level, counts in zip(levels, self._extents, strict=True)
        ]

    def __call__(self, latents: Sequence[Tensor]) -> Tensor:
        """Latents ``[*planes, *nodes]`` of the levels read, finest first → values ``[levels · planes, *grid]``."""
        found = [tuple(latent.shape[-len(self._shape) :]) for latent in latents]
        if found != self._extents:  # compiled loops do not check where they read
            raise ValueError(f"levels of {found} nodes; expected {self._extents}")
        values: Tensor = _Reading.apply(self._shape, self._axes, *latents)  # type: ignore[no-untyped-call]
        return values


class _Axis:
    """Taps for every position along one axis."""

    def __init__(self, nodes: NDArray[np.int64], weights: NDArray[np.float32], node_count: int) -> None:
        self._taps, self._node_count = (nodes, weights), node_count

    @classmethod
    def of(cls, positions: NDArray[np.floating], *, node_count: int, level: int) -> _Axis:
        """Taps of one level; those that are 0 at all positions are left out."""
        nodes, weights = interpolation_taps(positions, node_count=node_count, level=level)
        used = weights.any(axis=0)  # a fit reads the finest level at its nodes: by one of six taps
        nodes, weights = nodes[:, used], weights[:, used]
        return cls(np.ascontiguousarray(nodes), np.ascontiguousarray(weights, dtype=np.float32), node_count)

    def blend(self, values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
        """``values`` read at the positions along an axis."""
        shape = (*values.shape[:axis], len(self._taps[0]), *values.shape[axis + 1 :])
        result = np.empty(shape, np.float32)
        if axis == values.ndim - 1:
            kernel.blend_columns(_as_rows(values), *self._taps, _as_rows(result))
        else:
            kernel.blend_rows(_as_planes(values, axis), *self._taps, _as_planes(result, axis))
        return result

    def spread(self, gradient: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
        """The same backward: the gradient by the nodes along an axis."""
        shape = (*gradient.shape[:axis], self._node_count, *gradient.shape[axis + 1 :])
        result = np.zeros(shape, np.float32)
        if axis == gradient.ndim - 1:
            kernel.spread_columns(_as_rows(gradient), *self._taps, _as_rows(result))
        else:
            kernel.spread_rows(_as_planes(gradient, axis), *self._taps, _as_planes(result, axis))
        return result


def _as_rows(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values.reshape(-1, values.shape[-1])


def _as_planes(values: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    return values.reshape(int(np.prod(values.shape[:axis])), values.shape[axis], -1)


class _Reading(torch.autograd.Function):
    """One task for each level: all take about as long."""

    @staticmethod
    def forward(ctx: Any, shape: tuple[int, ...], axes: list[list[_Axis]], *latents: Tensor) -> Tensor:
        """Values of all levels at the positions."""
        ctx.axes, ctx.needed = axes, [latent.requires_grad for latent in latents]
        ctx.shapes = [latent.shape for latent in latents]
        planes = math.prod(latents[0].shape[: -len(shape)])
        values = torch.empty((len(latents), planes, *shape))

        def read(level: int) -> None:
            """Values of one level."""
            result = latents[level].detach().contiguous().numpy().reshape(planes, *latents[level].shape[-len(shape) :])
            # the last axis first: where the other axes are still short, its scattered reads are few
            for axis in reversed(range(len(shape))):
                result = axes[level][axis].blend(result, axis + 1)
            values[level] = torch.from_numpy(result)

        in_threads(read, range(len(latents)))
        return values.flatten(0, 1)

    @staticmethod
    def backward(ctx: Any, by_values: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients by the latents."""
        gradients = by_values.contiguous().numpy().reshape(len(ctx.axes), -1, *by_values.shape[1:])

        def spread(level: int) -> Tensor | None:
            """The gradient by the latents of one level, if it is needed."""
            if not ctx.needed[level]:
                return None
            result = gradients[level]
            for axis, blended in enumerate(ctx.axes[level], 1):
                result = blended.spread(result, axis)
            return torch.from_numpy(result).view(ctx.shapes[level])

        return None, None, *in_threads(spread, range(len(gradients)))


class _ExplicitLayer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, v: Tensor, *weights: Tensor) -> Tensor:
        """u at all samples."""
        ctx.save_for_backward(v, *weights)
        u = torch.empty((len(weights[3]), v.shape[1]))
        arrays = _arrays([v, *weights])
        in_threads(
            lambda samples: kernel.explicit_layer(arrays[0], tuple(arrays[1:]), u.numpy(), samples),
            bands(v.shape[1], least=_LEAST_SAMPLES),
        )
        return u

    @staticmethod
    def backward(ctx: Any, by_u: Tensor) -> tuple[Tensor, ...]:
        """Gradients by v and the parameters."""
        v, *weights = _arrays(ctx.saved_tensors)
        by_v, gradient = np.empty_like(v), by_u.contiguous().numpy()

        def task(samples: tuple[int, int]) -> Arrays:
            """Gradients by the weights over some samples; writes those by the values there."""
            by_weights: list[Any] = [np.zeros(weight.shape) for weight in weights]
            kernel.explicit_layer_gradients(v, gradient, tuple(weights), by_v, tuple(by_weights), samples)
            return by_weights

        return torch.from_numpy(by_v), *_sums(task, bands(v.shape[1], least=_LEAST_SAMPLES))


class _StencilLayer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, u: Tensor, recurrence: Tensor) -> Tensor:
        """The next state."""
        ctx.save_for_backward(z, recurrence)
        result = torch.empty_like(u)
        states = [_wide(tensor, leading=1) for tensor in (z, u)]
        taps, wide_result = _wide(recurrence, leading=2), _wide(result, leading=1)
        in_threads(
            lambda rows: kernel.stencil_layer(states[0], states[1], taps, wide_result, rows),
            bands(states[0].shape[1] * states[0].shape[2], least=_LEAST_ROWS),
        )
        return result

    @staticmethod
    def backward(ctx: Any, by_result: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        """Gradients by the state, u and the kernel."""
        z, recurrence = ctx.saved_tensors
        states, taps, gradient = _wide(z, leading=1), _wide(recurrence, leading=2), by_result.contiguous()
        wide_gradient = _wide(gradient, leading=1)
        # the state that starts a step has no gradient
        by_z = np.empty_like(states) if ctx.needs_input_grad[0] else None

        def task(rows: tuple[int, int]) -> Arrays:
            """Gradients by the taps over some rows; writes those by the states there."""
            by_taps = np.zeros(taps.shape)
            kernel.stencil_gradient_by_kernel(states, wide_gradient, by_taps, rows)
            if by_z is not None:
                kernel.stencil_gradient_by_state(states, wide_gradient, taps, by_z, rows)
            return [by_taps]

        (by_taps,) = _sums(task, bands(states.shape[1] * states.shape[2], least=_LEAST_ROWS))
        by_state = None if by_z is None else torch.from_numpy(by_z).view(z.shape)
        return by_state, gradient, by_taps.view(recurrence.shape)


def _arrays(tensors: Sequence[Tensor]) -> list[Any]:
    return [tensor.detach().numpy() for tensor in tensors]


def _wide(tensor: Tensor, *, leading: int) -> NDArray[np.float32]:
    """With three axes after the ``leading`` ones; those that are missing have extent 1."""
    missing = 3 - (tensor.dim() - leading)
    array: NDArray[np.float32] = tensor.detach().numpy()
    return array.reshape(*array.shape[:leading], *[1] * missing, *array.shape[leading:])


def _sums(task: Callable[[tuple[int, int]], Arrays], parts: list[tuple[int, int]]) -> list[Tensor]:
    """Gradients by weights, added up in the order of the bands, so that they depend on their number alone."""
    results = in_threads(task, parts)
    return [
        torch.from_numpy(sum(arrays[1:], start=arrays[0]).astype(np.float32)) for arrays in zip(*results, strict=True)
    ]
