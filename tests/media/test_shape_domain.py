"""The box in which a shape is coded."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from i2codec.errors import OptionError
from i2codec.media.shape import GRID_CELLS, Mesh, describe_shape
from i2codec.media.shape_domain import affine_parts, solid_in_domain
from i2codec.signal.description import (
    Axis,
    AxisName,
    ChannelRole,
    Kind,
    SampleFormat,
    SignalDescription,
    SourceContainer,
)
from i2codec.signal.grid import half_extents


def mesh_of(source: trimesh.Trimesh) -> Mesh:
    return Mesh(np.array(source.vertices, np.float64), np.array(source.faces, np.int64))


def described(mesh: Mesh) -> SignalDescription:
    return describe_shape(mesh, source=SourceContainer.STL)


def test_description() -> None:
    description = described(mesh_of(trimesh.creation.box((4, 2, 1))))
    assert description.kind is Kind.SHAPE
    assert [axis.name for axis in description.axes] == [AxisName.Z, AxisName.Y, AxisName.X]
    assert description.extents == (40, 69, 128)  # (side + 2 · 0.04 · 4) / (4 · 1.08 / 128), rounded up
    assert description.channels == (ChannelRole.OCCUPANCY,)
    assert description.sample_format is SampleFormat.FLOAT32
    assert description.source is SourceContainer.STL


@settings(max_examples=50, deadline=None)
@given(
    st.tuples(*[st.floats(1e-3, 1.0)] * 3),
    st.tuples(*[st.floats(-100.0, 100.0)] * 3),
    st.floats(-12, 12),
)
def test_domain_leaves_a_margin(
    sides: tuple[float, float, float], place: tuple[float, float, float], exponent: float
) -> None:
    scale = 10.0**exponent
    corners = np.array([np.array(place) - np.array(sides) / 2, np.array(place) + np.array(sides) / 2]) * scale
    box = trimesh.creation.box(bounds=corners)
    mesh = mesh_of(box)
    description = described(mesh)
    matrix, offset = affine_parts(description)
    half = np.array(half_extents(description.axes)[::-1])
    low, high = offset - matrix @ half, offset + matrix @ half
    margin = 0.04 * (corners[1] - corners[0]).max()
    slack = 1e-5 * margin
    assert (corners[0] - low >= margin - slack).all()
    assert (high - corners[1] >= margin - slack).all()
    assert max(description.extents) == GRID_CELLS
    cell = np.diag(matrix) * 2 * half / np.array(description.extents[::-1])
    np.testing.assert_allclose(cell, cell[0], rtol=1e-9)  # cubes
    assert (high - corners[1] <= margin + cell + slack).all()
    solid = solid_in_domain(mesh, description)
    np.testing.assert_allclose(solid.vertices @ matrix.T + offset, mesh.vertices, atol=1e-9 * np.abs(corners).max())


def test_affine_may_turn_the_shape() -> None:
    mesh = mesh_of(trimesh.creation.box((2, 2, 2)))
    turned = SignalDescription(
        Kind.SHAPE,
        (Axis(AxisName.Z, 4), Axis(AxisName.Y, 4), Axis(AxisName.X, 4)),
        (ChannelRole.OCCUPANCY,),
        SampleFormat.FLOAT32,
        affine=(0, 2, 0, 1, -2, 0, 0, 0, 0, 0, 2, 0),
    )
    corner = solid_in_domain(mesh, turned).vertices[(mesh.vertices == [1, 1, 1]).all(axis=1)]
    np.testing.assert_allclose(corner, [[-0.5, 0.0, 0.5]])


def test_descriptions_of_other_kinds_are_refused() -> None:
    photo = SignalDescription(
        Kind.PHOTO, (Axis(AxisName.Y, 4), Axis(AxisName.X, 4)), (ChannelRole.GREY,), SampleFormat.UINT8
    )
    with pytest.raises(OptionError, match="not that of a shape"):
        affine_parts(photo)
