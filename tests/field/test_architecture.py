import math

import pytest

from i2codec.errors import OptionError
from i2codec.field.architecture import Architecture, Filter, Norm


def test_ids_of_the_format_do_not_change():
    assert [(member.name, member.value) for member in Filter] == [("SIREN", 1), ("FOURIER", 2), ("GABOR", 3)]
    assert [(member.name, member.value) for member in Norm] == [("NONE", 0), ("SPECTRAL", 1), ("SUP", 2)]


def test_siren_has_one_phase_and_then_biases():
    shapes = Architecture(Filter.SIREN, width=5, depth=2, axis_count=3, channel_count=4).tensor_shapes
    assert list(shapes.items()) == [
        ("U_0", (5, 3)),
        ("phi_0", (5,)),
        ("A_1", (5, 5)),
        ("b_1", (5,)),
        ("U_1", (5, 3)),
        ("A_2", (5, 5)),
        ("b_2", (5,)),
        ("U_2", (5, 3)),
        ("W", (4, 5)),
        ("b", (4,)),
    ]


def test_fourier_has_a_filter_per_layer():
    shapes = Architecture(Filter.FOURIER, width=5, depth=1, axis_count=1, channel_count=1).tensor_shapes
    assert list(shapes) == ["U_0", "phi_0", "A_1", "b_1", "U_1", "phi_1", "W", "b"]


def test_gabor_adds_an_envelope_per_filter():
    shapes = Architecture(Filter.GABOR, width=5, depth=1, axis_count=2, channel_count=1).tensor_shapes
    assert list(shapes) == (
        ["U_0", "phi_0", "gamma_0", "mu_0", "A_1", "b_1", "U_1", "phi_1", "gamma_1", "mu_1", "W", "b"]
    )
    assert shapes["gamma_1"] == (5,)
    assert shapes["mu_1"] == (5, 2)


@pytest.mark.parametrize("filter", Filter)
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_parameters_are_counted_from_the_shapes(filter, depth):
    w, d, channels = 6, 2, 3
    per_filter = w * d + {Filter.SIREN: 0, Filter.FOURIER: w, Filter.GABOR: w + w + w * d}[filter]
    first_phase = w if filter is Filter.SIREN else 0
    expected = (depth + 1) * per_filter + first_phase + depth * (w * w + w) + channels * (w + 1)
    assert Architecture(filter, w, depth, d, channels).parameter_count == expected


def test_the_papers_layer_has_67329_parameters():
    assert Architecture(Filter.SIREN, 256, 1, 2, 1).parameter_count == 67_329


def test_multiplications_grow_by_the_layers_with_each_step():
    siren = Architecture(Filter.SIREN, width=8, depth=2, axis_count=3, channel_count=4)
    gabor = Architecture(Filter.GABOR, width=8, depth=2, axis_count=3, channel_count=4)
    assert siren.macs_per_point(0) == 3 * 8 * 3 + 4 * 8
    assert siren.macs_per_point(5) - siren.macs_per_point(4) == 2 * 8 * 8
    assert gabor.macs_per_point(5) - siren.macs_per_point(5) == 3 * 8 * 3  # distances to the centres


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"depth": 0},
        {"axis_count": 0},
        {"axis_count": 4},
        {"channel_count": 0},
        {"contraction": 1.0},
        {"contraction": -0.1},
        {"contraction": math.nan},
    ],
)
def test_sizes_and_factors_out_of_range_are_refused(change):
    sizes = {"width": 1, "depth": 1, "axis_count": 1, "channel_count": 1, "contraction": 0.0}
    Architecture(Filter.SIREN, **sizes)
    with pytest.raises(OptionError):
        Architecture(Filter.SIREN, **(sizes | change))
