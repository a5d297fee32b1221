import math

import pytest

from i2codec.errors import OptionError
from i2codec.field.grid_architecture import CONTEXT_TENSORS, GridArchitecture
from i2codec.field.interpolation import Kernel
from i2codec.field.stencil import Stencil

SIZES = {"hidden_width": 7, "width": 3, "context_width": 5, "context_features": 11}


def architecture(axis_count=2, stencil=Stencil.FULL, **changes):
    sizes = {"level_count": 4, "axis_count": axis_count, "channel_count": 2, "stencil": stencil, **SIZES}
    return GridArchitecture(**(sizes | changes))


def test_tensors_in_the_order_of_the_file():
    assert list(architecture().synthesis_shapes.items()) == [
        ("gains", (4,)),
        ("E_1", (7, 4)),
        ("e_1", (7,)),
        ("E_2", (3, 7)),
        ("e_2", (3,)),
        ("A", (3, 3, 9)),
        ("W", (2, 3)),
        ("b", (2,)),
    ]
    assert list(architecture().context_shapes.items()) == [
        ("C_1", (1, 5, 11)),
        ("d_1", (4, 5)),
        ("C_2", (1, 5, 5)),
        ("d_2", (1, 5)),
        ("C_3", (1, 2, 5)),
        ("d_3", (4, 2)),
    ]


def test_every_plane_of_every_level_is_an_input_of_its_own():
    made = architecture(plane_count=2)
    assert (made.planes, architecture().planes) == ((2,), ())
    assert made.synthesis_shapes == architecture().synthesis_shapes | {"gains": (8,), "E_1": (7, 8)}
    assert made.context_shapes == architecture().context_shapes


def test_multiplications_of_planes():
    """As many latents are coded and read, and each is an input of the first layer."""
    one, three = architecture(channel_count=3), architecture(channel_count=3, plane_count=3)
    contexts = (64**2 + 32**2 + 16**2 + 8**2) * (5 * 11 + 5 * 5 + 2 * 5) / 64**2
    more = round(3 * contexts) - round(contexts) + 2 * (3 * (4 + 4) + 7 * 4)
    assert three.macs_per_point(6) - one.macs_per_point(6) == more


def test_each_context_network_has_weights_of_its_own_and_each_level_biases():
    shapes = architecture(context_count=3).context_shapes
    assert {name: shape[0] for name, shape in shapes.items()} == {
        name: 4 if name in ("d_1", "d_3") else 3 for name in CONTEXT_TENSORS
    }
    assert {name: shape[1:] for name, shape in shapes.items()} == {
        name: shape[1:] for name, shape in architecture().context_shapes.items()
    }
    assert architecture(context_count=3).synthesis_shapes == architecture().synthesis_shapes


@pytest.mark.parametrize("axis_count", [1, 2, 3])
def test_the_recurrence_has_a_matrix_for_each_tap(axis_count):
    for stencil, taps in ((Stencil.CROSS, 2 * axis_count + 1), (Stencil.FULL, 3**axis_count)):
        made = architecture(axis_count, stencil)
        assert made.synthesis_shapes["A"] == (3, 3, taps)
        assert made.offsets == stencil.offsets(axis_count)
    pointwise = architecture(axis_count, Stencil.POINTWISE)
    shapes = architecture(axis_count).synthesis_shapes
    assert pointwise.synthesis_shapes == {name: shape for name, shape in shapes.items() if name != "A"}


def test_the_twin_has_the_same_tensors():
    assert architecture(unrolled=True).tensor_shapes == architecture().tensor_shapes


def test_the_context_model_comes_after_the_synthesis():
    made = architecture()
    assert list(made.tensor_shapes) == [*made.synthesis_shapes, *made.context_shapes]
    assert tuple(made.context_shapes) == CONTEXT_TENSORS
    assert made.tensor_shapes["d_1"] == (4, 5)
    assert made.tensor_shapes["W"] == (2, 3)


def test_parameters_are_counted_from_the_shapes():
    synthesis = 4 + 7 * 4 + 7 + 3 * 7 + 3 + 3 * 3 * 9 + 2 * 3 + 2
    context = 5 * 11 + 4 * 5 + 5 * 5 + 5 + 2 * 5 + 4 * 2
    assert architecture().parameter_count == synthesis + context
    networks = context - 4 * 5 - 4 * 2
    assert architecture(context_count=3).parameter_count == synthesis + context + 2 * networks
    assert architecture(stencil=Stencil.POINTWISE).parameter_count == synthesis + context - 3 * 3 * 9


def test_multiplications_on_a_photo_of_64_by_64():
    """Context models of all nodes; latents read along y, then x, but for the finest level's; the layers."""
    nodes = 64**2 + 32**2 + 16**2 + 8**2
    contexts = nodes * (5 * 11 + 5 * 5 + 2 * 5) / 64**2
    layers = 7 * 4 + 3 * 7 + 6 * (3 * 3 * 9) + 2 * 3
    assert architecture().macs_per_point(6) == round(contexts) + 3 * (4 + 4) + layers == 120 + 24 + 541
    assert architecture(context_count=3).macs_per_point(6) == architecture().macs_per_point(6)
    assert architecture(stencil=Stencil.POINTWISE).macs_per_point(6) == 120 + 24 + 541 - 486


@pytest.mark.parametrize(("axis_count", "nodes"), [(1, 1 + 1 / 2 + 1 / 4 + 1 / 8), (3, 1 + 1 / 8 + 1 / 64 + 1 / 512)])
def test_multiplications_of_other_axes(axis_count, nodes):
    pointwise = architecture(axis_count, Stencil.POINTWISE)
    assert pointwise.macs_per_point(9) == round(nodes * 90) + 3 * 4 * axis_count + 7 * (4 + 3) + 2 * 3
    cross = architecture(axis_count, Stencil.CROSS)
    assert cross.macs_per_point(9) - cross.macs_per_point(8) == 3 * 3 * (2 * axis_count + 1)


def test_what_a_grid_field_is_by_default():
    made = GridArchitecture(7, 2, 3)
    assert (made.hidden_width, made.width, made.context_width, made.context_features) == (24, 6, 24, 17)
    assert (made.context_count, made.plane_count) == (1, 1)
    assert (made.stencil, made.unrolled, made.kernel) == (Stencil.FULL, False, Kernel.LANCZOS_CUBIC)
    assert math.prod(made.synthesis_shapes["A"]) == 6 * 6 * 9


@pytest.mark.parametrize(
    "change",
    [
        {"level_count": 0},
        {"channel_count": 0},
        {"hidden_width": 0},
        {"width": 0},
        {"context_width": 0},
        {"width": -1},
        {"axis_count": 0},
        {"axis_count": 4},
        {"context_count": 0},
        {"context_count": 5},
        {"plane_count": 0},
        {"plane_count": 3},
        {"plane_count": -2},
        {"plane_count": 2, "axis_count": 1},
        {"plane_count": 2, "axis_count": 3},
        {"plane_count": 2, "channel_count": 3},
        {"plane_count": 3, "channel_count": 4},
    ],
)
def test_sizes_out_of_range_are_refused(change):
    GridArchitecture(1, 1, 1, hidden_width=1, width=1, context_width=1)
    architecture(context_count=4)
    architecture(plane_count=2)
    with pytest.raises(OptionError, match="expected"):
        architecture(**change)
