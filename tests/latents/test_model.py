from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from i2codec.errors import OptionError
from i2codec.latents import plain, template
from i2codec.latents.model import (
    LARGEST_ACTIVATION,
    LARGEST_BIAS,
    LARGEST_WEIGHT,
    MAX_LEVELS,
    MAX_WIDTH,
    ContextModel,
    largest_sums,
)
from i2codec.latents.template import LARGEST_FEATURE, Template


def tensors(template=Template.PLANE, *, width=3, levels=2, networks=1):
    shapes = {
        "w1": (networks, width, template.feature_count),
        "b1": (levels, width),
        "w2": (networks, width, width),
        "b2": (networks, width),
        "w3": (networks, 2, width),
        "b3": (levels, 2),
    }
    return {name: np.zeros(shape, np.int64) for name, shape in shapes.items()}


def test_no_sum_can_leave_32_bits():
    features = max(template.feature_count for template in Template)
    first, hidden, output = largest_sums(features=features, width=MAX_WIDTH)
    rounding = 2**12  # added to an output before its shift
    assert first < 2**25
    assert max(first, hidden, output + rounding) < 1.1e9 < 2**31
    # The same by adding up the largest magnitude of each term.
    assert first == sum([LARGEST_WEIGHT * LARGEST_FEATURE] * features) + LARGEST_BIAS
    products = sum([LARGEST_WEIGHT * LARGEST_ACTIVATION] * MAX_WIDTH)
    assert hidden == (LARGEST_ACTIVATION << 10) + products + (LARGEST_BIAS << 6)
    assert output == products + (LARGEST_BIAS << 6)


@pytest.mark.parametrize("template", Template)
def test_a_model_keeps_its_tensors_as_read_only_copies(template):
    given = tensors(template, width=5, levels=4, networks=3)
    model = ContextModel(template, **given)
    given["w1"][0, 0] = 7
    assert (model.width, model.levels, model.networks) == (5, 4, 3)
    for name, tensor in given.items():
        assert getattr(model, name).dtype == np.int32
        assert getattr(model, name).shape == tensor.shape
        assert not getattr(model, name).any()
        with pytest.raises(ValueError, match="read-only"):
            getattr(model, name)[...] = 1
    with pytest.raises(FrozenInstanceError):
        model.w1 = given["w1"]


def test_a_template_may_be_its_id():
    assert ContextModel(2, **tensors(Template.VOLUME)).template is Template.VOLUME


@pytest.mark.parametrize("template", [0, 5, "PLANE", None])
def test_an_unknown_template_is_refused(template):
    with pytest.raises(OptionError, match=r"context template .*; expected one of \[1, 2, 3, 4\]"):
        ContextModel(template, **tensors())


@pytest.mark.parametrize("name", ["w1", "b1", "w2", "b2", "w3", "b3"])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_range_of_every_tensor(name, sign):
    limit = LARGEST_WEIGHT if name.startswith("w") else LARGEST_BIAS
    given = tensors()
    given[name].flat[-1] = sign * limit
    assert getattr(ContextModel(Template.PLANE, **given), name).flat[-1] == sign * limit
    given[name].flat[-1] = sign * (limit + 1)
    with pytest.raises(OptionError, match=f"{name} of a context model holds .* at most ±{limit}"):
        ContextModel(Template.PLANE, **given)


@pytest.mark.parametrize("name", ["w1", "b1", "w2", "b2", "w3", "b3"])
@pytest.mark.parametrize("networks", [1, 2])
def test_the_shape_and_type_of_every_tensor(name, networks):
    given = tensors(networks=networks)
    for axis in range(given[name].ndim):
        longer = np.concatenate([given[name], given[name].take([0], axis)], axis)
        for other in (longer, longer[None]):
            with pytest.raises(OptionError, match=r"of a context model.* has shape \[.*\]; expected \["):
                ContextModel(Template.PLANE, **(given | {name: other}))
    with pytest.raises(OptionError, match=f"{name} of a context model holds float64; expected integers"):
        ContextModel(Template.PLANE, **(given | {name: given[name].astype(float)}))


@pytest.mark.parametrize(("width", "levels"), [(0, 1), (MAX_WIDTH + 1, 1), (1, 0), (1, MAX_LEVELS + 1)])
def test_the_sizes_of_a_model_are_limited(width, levels):
    with pytest.raises(OptionError, match="at most 16 levels and width 32"):
        ContextModel(Template.PLANE, **tensors(width=width, levels=levels))


def test_sixteen_levels_of_width_32_are_valid():
    model = ContextModel(Template.VOLUME, **tensors(Template.VOLUME, width=32, levels=16, networks=16))
    assert (model.width, model.levels, model.networks) == (32, 16, 16)


@pytest.mark.parametrize(("networks", "levels"), [(0, 2), (2, 1), (3, 2), (17, 16)])
def test_there_is_a_network_and_at_most_one_for_each_level(networks, levels):
    with pytest.raises(OptionError, match="at least 1 network and at most one for each level"):
        ContextModel(Template.PLANE, **tensors(levels=levels, networks=networks))


@pytest.mark.parametrize(
    ("networks", "expected"), [(1, [0, 0, 0, 0]), (2, [0, 1, 1, 1]), (3, [0, 1, 2, 2]), (4, [0, 1, 2, 3])]
)
def test_the_last_network_is_that_of_all_coarser_levels(networks, expected):
    model = ContextModel(Template.PLANE, **tensors(levels=4, networks=networks))
    assert [model.network_of(level) for level in range(4)] == expected


def test_real_tensors_are_rounded_to_multiples_of_1_1024():
    given = {name: tensor.astype(float) for name, tensor in tensors().items()}
    given["w1"][0, 0, :8] = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 1023.4, -1023.6, 8190.6]) / 1024
    given["w2"][0, 0] = [8.0, -9.5, np.inf]
    given["b2"][:] = [128.0, -1e308, 129]
    model = ContextModel.from_float(Template.PLANE, **given)
    assert model.w1[0, 0, :8].tolist() == [0, 2, 2, 0, -2, 1023, -1024, 8191]
    assert model.w2[0, 0].tolist() == [LARGEST_WEIGHT, -LARGEST_WEIGHT, LARGEST_WEIGHT]
    assert model.b2.tolist() == [[LARGEST_BIAS, -LARGEST_BIAS, LARGEST_BIAS]]


def test_float32_tensors_are_rounded_exactly():
    given = {name: tensor.astype(np.float32) for name, tensor in tensors().items()}
    given["b2"][:] = np.float32(100.00048828125)  # 102400.5/1024: a tie in float64, too
    assert ContextModel.from_float(Template.PLANE, **given).b2.tolist() == [[102400] * 3]


def test_a_tensor_of_nan_is_refused():
    given = {name: tensor.astype(float) for name, tensor in tensors().items()}
    given["b3"][1, 1] = np.nan
    with pytest.raises(OptionError, match="b3 of a context model holds NaN"):
        ContextModel.from_float(Template.PLANE, **given)


@pytest.mark.parametrize("networks", [1, 2])
def test_a_prediction_by_hand(networks):
    """Of the last network; one before it has other numbers."""
    given = tensors(width=1, levels=2, networks=networks)
    for name in ("w1", "w2", "b2", "w3"):
        given[name][:-1] = 999
    given["w1"][-1, 0, :2] = [1024, -512]
    given["b1"][1] = 512
    given["w2"][-1] = -256
    given["b2"][-1] = 1024
    given["w3"][-1] = [[768], [-300]]
    given["b3"][1] = [-1024, 2048]
    x = [5, 3] + [0] * 15
    # 5 − 1.5 + 0.5 = 4; 4 − 1 + 1 = 4; mean 3 − 1 = 2; log₂ of the scale 2 − 1200/1024 = 0.828125
    model = ContextModel(Template.PLANE, **given)
    assert plain.predict(x, model, 1) == (2 * 16, 32 + 7)
    assert plain.predict([-5, 3, *x[2:]], model, 1) == (round((0.75 - 1) * 16), 32 + round(8 * (2 - 300 / 1024)))


def test_the_features_of_a_lattice_in_order():
    """Magnitudes of the nodes before, those of the other channel, and where the column is."""
    grid = -np.arange(1, 61).reshape(3, 4, 5)
    model = ContextModel(Template.LATTICE, **tensors(Template.LATTICE))
    near = [57, 56, 51, 52, 53, 54, 55, 46, 47, 48, 49, 50, 38, 33, 0, 37, 39]
    found = plain.features(grid, (None, None), model, (2, 3, 2), column_count=64)
    assert found == [*map(template.companded, near), *template.positions(64)[2], 0]


@pytest.mark.parametrize(
    ("template", "planes_before", "planes_above", "above"),
    [
        (Template.PLANE, [], (2, 1), [-11, -10, 0, 0, 100]),
        (Template.VOLUME, [38, 33, 0, 37, 39], (2, 1), [-11, -10, 0, 0, 100]),
        (Template.COLOUR, [38, 33, 0, 37, 39, 18], (3, 3), [-17, -16, 0, 0, 104]),
    ],
)
def test_the_features_in_order(template, planes_before, planes_above, above):
    """Each node of the three grids holds a number of its own.

    Row 3 is odd and looks below the coarser grid, column 2 is even and looks left.
    """
    grid = np.arange(1, 61).reshape(3, 4, 5)
    coarser = -np.arange(1, 6 * planes_above[0] + 1).reshape(-1, 2, 3)
    coarsest = 100 + np.arange(2 * planes_above[1]).reshape(-1, 1, 2)
    model = ContextModel(template, **tensors(template))
    same_plane = [57, 56, 51, 52, 53, 54, 55, 46, 47, 48, 49, 50]
    features = plain.features(grid, (coarser, coarsest), model, (2, 3, 2))
    assert features == [*same_plane, *planes_before, *above]


@pytest.mark.parametrize(
    ("template", "before"), [(Template.PLANE, 0), (Template.VOLUME, 1), (Template.LATTICE, 1), (Template.COLOUR, 2)]
)
def test_a_node_reads_so_many_planes_before_its_own(template, before):
    """Those in front of the first are 0."""
    assert template.plane_reach == before
    model = ContextModel(template, **tensors(template))
    for plane in range(4):
        grid = np.zeros((4, 3, 3), np.int32)
        grid[: max(0, plane - before)] = 9
        grid[plane + 1 :] = 9
        assert not any(plain.features(grid, (None, None), model, (plane, 1, 1))[: len(template.offsets)])
        if before and plane >= before:
            grid[plane - before] = 9
            assert any(plain.features(grid, (None, None), model, (plane, 1, 1))[: len(template.offsets)])


def test_features_are_clamped_and_0_outside():
    grid = np.full((1, 1, 2), 300)
    model = ContextModel(Template.VOLUME, **tensors(Template.VOLUME))
    assert plain.features(grid, (-grid[..., :1], None), model, (0, 0, 1)) == [127, *[0] * 16, -127, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("shape", "half"), [((1, 1, 1), (1, 1, 1)), ((3, 4, 7), (2, 2, 4)), ((2, 512, 767), (1, 256, 384))]
)
def test_a_coarser_grid_has_half_the_nodes_rounded_up(shape, half):
    assert Template.VOLUME.coarser_shape(shape) == half
    assert Template.COLOUR.coarser_shape(shape) == (shape[0], *half[1:])  # planes are not those of time


@pytest.mark.parametrize(
    ("template", "number", "count"),
    [(Template.PLANE, 1, 17), (Template.VOLUME, 2, 22), (Template.LATTICE, 3, 24), (Template.COLOUR, 4, 23)],
)
def test_templates_keep_their_ids(template, number, count):
    assert template == number
    assert template.feature_count == count
    assert all(offset < (0, 0, 0) for offset in template.offsets)  # coded before, in raster order
