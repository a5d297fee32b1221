from dataclasses import replace

import numpy as np
import pytest

from i2codec.errors import FormatError, VersionError
from i2codec.field.grid_architecture import GridArchitecture
from i2codec.prior import priors
from i2codec.prior.priors import load_prior, prior_architecture, prior_for, released_priors

PHOTO = GridArchitecture(4, 2, 3, hidden_width=6, width=2, context_width=4, context_count=2)


def test_a_prior_is_a_file_of_integers(a_prior):
    number, expected = a_prior(PHOTO)
    assert prior_architecture(number) == PHOTO
    found = load_prior(number)
    assert list(found) == list(PHOTO.tensor_shapes)
    for name, tensor in found.items():
        assert tensor.dtype == np.float64
        np.testing.assert_array_equal(tensor * 1024, expected[name])
        assert np.abs(expected[name]).max() > 0
        with pytest.raises(ValueError, match="read-only"):
            tensor[...] = 0.0
    assert load_prior(number) is found
    for architecture in (PHOTO, replace(PHOTO, unrolled=True)):  # the same shapes
        served = prior_for(number, architecture)
        assert all(served[name] is tensor for name, tensor in found.items())


def test_prior_0_is_zero_for_every_architecture():
    for architecture in (PHOTO, replace(PHOTO, axis_count=3, width=5)):
        found = prior_for(0, architecture)
        assert {name: tensor.shape for name, tensor in found.items()} == architecture.tensor_shapes
        assert not any(tensor.any() for tensor in found.values())


@pytest.mark.parametrize("function", [prior_architecture, load_prior, lambda number: prior_for(number, PHOTO)])
def test_an_unknown_prior_needs_a_newer_reader(a_prior, function):
    with pytest.raises(VersionError, match=r"prior 9; this release carries [\d, ]+: update i2codec"):
        function(9)
    number, _ = a_prior(PHOTO)
    with pytest.raises(VersionError, match=f"prior 9; this release carries {number}: update i2codec"):
        function(9)


@pytest.mark.parametrize(
    "other",
    [
        {"level_count": 5},
        {"channel_count": 5},
        {"hidden_width": 7},
        {"context_width": 3},
        {"context_count": 1},
        {"context_count": 3},
        {"axis_count": 3},
    ],
)
def test_a_prior_fits_one_set_of_shapes(a_prior, other):
    number, _ = a_prior(PHOTO)
    with pytest.raises(FormatError, match=f"prior {number} is for GridArchitecture"):
        prior_for(number, replace(PHOTO, **other))


@pytest.mark.parametrize("channel_count", [1, 2, 3, 4])
def test_a_prior_serves_grey_and_alpha(a_prior, channel_count):
    number, _ = a_prior(PHOTO)
    colour = load_prior(number)
    architecture = replace(PHOTO, channel_count=channel_count)
    found = prior_for(number, architecture)
    assert {name: tensor.shape for name, tensor in found.items()} == architecture.tensor_shapes
    assert released_priors(architecture) == {number: 0.01}
    if channel_count in (2, 4):  # 1 everywhere
        assert not found["W"][-1].any()
        assert found["b"][-1] == 1.0
    if channel_count < 3:
        np.testing.assert_allclose(found["W"][0], sum(colour["W"]) / 3.0)
        np.testing.assert_allclose(found["b"][0], sum(colour["b"]) / 3.0)
    else:
        np.testing.assert_array_equal(found["W"][:3], colour["W"])
    others = set(colour) - {"W", "b"}
    assert all(found[name] is colour[name] for name in others)


def test_the_priors_that_fit(a_prior):
    assert released_priors(replace(PHOTO, width=3)) == {}
    number, _ = a_prior(PHOTO)
    assert released_priors(replace(PHOTO, unrolled=True)) == {number: 0.01}
    assert released_priors(replace(PHOTO, width=3)) == {}


def test_every_released_prior_has_the_shapes_of_its_architecture():
    for number, architecture in priors._ARCHITECTURES.items():
        assert 1 <= number <= 255
        assert {name: tensor.shape for name, tensor in load_prior(number).items()} == architecture.tensor_shapes
        assert all(np.abs(tensor).max() < 2.0**21 for tensor in load_prior(number).values())
