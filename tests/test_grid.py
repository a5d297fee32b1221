"""Grid fields through the public verbs: every round trip has a floor on quality and a ceiling on size."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import i2codec
from i2codec.errors import Cancelled, OptionError
from i2codec.fit import grid_cut_readouts, grid_encoder
from i2codec.fit.grid_window_loop import WindowedGridRun
from i2codec.notices import DamagedSourceWarning
from i2codec.payload import latents_section
from i2codec.payload.file import read_file, write_file
from i2codec.payload.latents_section import LatentPyramid
from i2codec.payload.stored_grid import StoredGrid

_OPTIONS = {"field": "grid", "preset": "draft", "steps": 120, "lmbda": 0.002}


def _psnr(first, second) -> float:
    difference = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    return float(-10.0 * np.log10(np.mean(difference**2)))


@pytest.fixture(scope="module")
def crop() -> np.ndarray:
    photo = Image.open(Path(__file__).parent / "data" / "coffee.png").convert("RGB")
    return np.asarray(photo)[64:176, 96:226]


@pytest.fixture(scope="module")
def packed(crop: np.ndarray) -> bytes:
    return i2codec.encode(crop, **_OPTIONS)


def test_round_trip(crop, packed):
    decoded = i2codec.decode(packed).samples
    assert decoded.shape == crop.shape
    assert _psnr(decoded, crop / 255.0) > 27.0
    assert len(packed) < 2500
    i2codec.verify(packed)


@pytest.mark.parametrize("part", ["latents", "networks"])
def test_without_latents_or_networks_there_is_no_picture(crop, packed, part):
    (stored,) = read_file(packed)
    grid = stored.grid
    assert grid is not None
    network, levels = grid.network, grid.latents.levels()
    if part == "latents":
        levels = [np.zeros_like(level) for level in levels]
    else:
        integers = {name: np.zeros_like(tensor) for name, tensor in network.integers.items()}
        network = replace(network, integers=integers, prior=0, contraction=0.0)
    latents = LatentPyramid.of(levels, tiles=grid.latents.tiles, model=network.context_model())
    data = write_file([replace(stored, grid=StoredGrid(network, latents))])
    assert _psnr(i2codec.decode(data).samples, crop / 255.0) < 20.0


@pytest.mark.parametrize("has_alpha", [False, True])
def test_a_photo_of_high_quality_has_latents_for_every_channel(crop, has_alpha):
    """And is fitted from the picture itself, to nearly the quality that λ is held against."""
    alpha = np.full_like(crop[..., :1], 255)
    alpha[:, :30] = 128
    samples = np.concatenate([crop, alpha], axis=2) if has_alpha else crop
    packed = i2codec.encode(samples, **{**_OPTIONS, "steps": 50, "lmbda": 2e-5})
    (stored,) = read_file(packed)
    assert stored.grid.network.architecture.plane_count == samples.shape[2]
    decoded = i2codec.decode(packed).samples
    assert _psnr(decoded, samples / 255.0) > 40.0
    assert len(packed) < 18_000
    part = i2codec.decode(packed, region=(30, 20, 50, 40)).samples
    np.testing.assert_array_equal(part, decoded[20:60, 30:80])


def _loss(packed: bytes, samples, *, lmbda: float) -> float:
    """MSE + λ · bits per sample of space and time."""
    mse = 10.0 ** (-_psnr(i2codec.decode(packed).samples, samples / 255.0) / 10.0)
    return mse + lmbda * 8 * len(packed) / samples[..., 0].size


@pytest.mark.parametrize("layer", ["unrolled", "implicit"])
def test_a_large_photo_is_fitted_in_windows(crop, layer, monkeypatch):
    """With as many passes as the whole takes steps, to nearly the same loss."""
    options = _OPTIONS | {"layer": layer}
    whole = i2codec.encode(crop, **options)
    monkeypatch.setattr(grid_encoder, "_MOST_WHOLE_POINTS", 10_000)
    monkeypatch.setattr(WindowedGridRun, "side", 64)
    in_windows = i2codec.encode(crop, **options)
    assert in_windows != whole
    assert _psnr(i2codec.decode(in_windows).samples, crop / 255.0) > 27.0
    assert len(in_windows) < 2700
    assert _loss(in_windows, crop, lmbda=0.002) < 1.1 * _loss(whole, crop, lmbda=0.002)
    i2codec.verify(in_windows)


def _panned(crop: np.ndarray) -> np.ndarray:
    return np.stack([crop[8 : 8 + 64, shift : shift + 96] for shift in range(8)])


def _filmed() -> np.ndarray:
    """The first eight frames of a film of a man in a car, which many know, if it is at hand."""
    path = Path(os.environ.get("I2CODEC_MEDIA", "")) / "carphone.mp4"
    if not path.is_file():
        pytest.skip("I2CODEC_MEDIA names no folder with carphone.mp4")
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in itertools.islice(container.decode(video=0), 8)])


@pytest.mark.parametrize("is_film", [False, True])
def test_eight_frames_cost_less_than_eight_photos(crop, tmp_path, is_film):
    frames = _filmed() if is_film else _panned(crop)
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "bgr0"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="bgr0")))
        container.mux(stream.encode())
    options = {"preset": "draft", "steps": 150, "lmbda": 0.001}
    packed = i2codec.encode(path, field="grid", **options)
    assert i2codec.decode(packed).samples.shape == frames.shape
    photos = [_loss(i2codec.encode(frame, **options), frame, lmbda=0.001) for frame in frames]
    assert _loss(packed, frames, lmbda=0.001) < np.mean(photos)
    assert _psnr(i2codec.decode(packed).samples, frames / 255.0) > 27.0
    i2codec.verify(packed)


def test_the_same_input_gives_the_same_bytes(crop, packed):
    assert i2codec.encode(crop, **_OPTIONS) == packed
    assert i2codec.encode(crop, **{**_OPTIONS, "seed": 1}) != packed


def test_parts_and_sizes_agree_with_the_whole(packed):
    whole = i2codec.decode(packed).samples
    part = i2codec.decode(packed, region=(20, 10, 50, 40)).samples
    np.testing.assert_array_equal(part, whole[10:50, 20:70])
    double = i2codec.decode(packed, scale=2).samples
    assert double.shape == (224, 260, 3)
    halved = double.reshape(112, 2, 130, 2, 3).mean(axis=(1, 3))
    assert _psnr(halved, whole) > 35.0
    assert i2codec.decode(packed, size=(100, 77)).samples.shape == (77, 100, 3)


def test_an_interrupted_fit_continues_to_the_same_bytes(crop, packed, tmp_path):
    checkpoint = tmp_path / "checkpoint"
    reports = iter(range(100))
    with pytest.raises(Cancelled):
        i2codec.encode(crop, checkpoint=checkpoint, progress=lambda _: next(reports) < 3, **_OPTIONS)
    assert i2codec.encode(crop, checkpoint=checkpoint, **_OPTIONS) == packed
    assert not checkpoint.exists()


@pytest.mark.parametrize("size", [1200, 2400])
def test_a_size_is_met(crop, size):
    packed = i2codec.encode(crop, field="grid", preset="draft", steps=300, target_size=size)
    assert abs(len(packed) / size - 1.0) < 0.05


def test_a_psnr_is_met(crop):
    packed = i2codec.encode(crop, field="grid", preset="draft", steps=150, target_psnr=28.0)
    assert abs(_psnr(i2codec.decode(packed).samples, crop / 255.0) - 28.0) < 0.5


def test_grey_and_sixteen_bits(crop):
    grey = np.asarray(Image.fromarray(crop).convert("L"))
    packed = i2codec.encode(grey, **_OPTIONS)
    decoded = i2codec.decode(packed)
    assert decoded.samples.shape == (*grey.shape, 1)
    assert _psnr(decoded.samples[..., 0], grey / 255.0) > 25.0
    assert len(packed) < 3500
    deep = i2codec.encode(grey.astype(np.uint16) * 257, **_OPTIONS)
    assert _psnr(i2codec.decode(deep).samples[..., 0], grey / 255.0) > 25.0


def test_transparency(crop):
    alpha = np.full((*crop.shape[:2], 1), 255, dtype=np.uint8)
    alpha[30:60, 40:90] = 0
    packed = i2codec.encode(np.concatenate([crop, alpha], axis=-1), **_OPTIONS)
    decoded = i2codec.decode(packed).samples
    assert _psnr(decoded[70:, :, :3], crop[70:] / 255.0) > 24.0
    assert len(packed) < 4500
    found = decoded[..., 3]
    assert (found[35:55, 45:85] == 0.0).mean() > 0.99
    assert (found[alpha[..., 0] == 255] == 1.0).mean() > 0.97
    assert ((found >= 0.5) == (alpha[..., 0] > 0)).mean() > 0.995


def test_what_is_opaque_stays_exactly_opaque(crop, packed):
    opaque = np.concatenate([crop, np.full((*crop.shape[:2], 1), 255, dtype=np.uint8)], axis=-1)
    with_alpha = i2codec.encode(opaque, **_OPTIONS)
    for options in ({}, {"scale": 2.0}):
        assert (i2codec.decode(with_alpha, **options).samples[..., 3] == 1.0).all()
    assert len(with_alpha) < 1.1 * len(packed)


def test_the_layer_can_be_a_fixed_point(crop, packed):
    implicit = i2codec.encode(crop, **_OPTIONS, layer="implicit")
    assert i2codec.info(implicit)["layer"] == "implicit"
    assert 0.0 < i2codec.info(implicit)["contraction"] < 1.0
    assert i2codec.info(implicit)["steps"] >= 2
    assert _psnr(i2codec.decode(implicit).samples, crop / 255.0) > 24.0
    assert len(implicit) < 1.2 * len(packed)


@pytest.mark.parametrize("option", [{"width": 16}, {"filter": "gabor"}])
def test_options_of_coordinate_fields_are_refused(crop, option):
    with pytest.raises(i2codec.OptionError, match=r"is of the coordinate field; leave --\w+ out"):
        i2codec.encode(crop, field="grid", **option)
    found = i2codec.info(i2codec.encode(crop[:32, :32], steps=20, **option))
    assert found.get("field") != "grid"


@pytest.mark.parametrize("option", [{"width": 16}, {"field": "coordinate"}])
def test_a_layer_of_a_coordinate_field_is_refused(crop, option):
    with pytest.raises(i2codec.OptionError, match="a layer is of the grid field; leave --layer out"):
        i2codec.encode(crop, layer="implicit", **option)


def test_a_time_limit_is_not_exceeded_for_a_target(crop):
    """By steps that are taken, not by the clock: no phase beside the one that the limit is laid over."""
    stages = []
    progress = lambda report: stages.append(report.stage) or True  # noqa: E731
    with pytest.warns(i2codec.TargetMissedWarning):
        i2codec.encode(crop, preset="draft", time_limit=0.5, target_psnr=60.0, progress=progress)
    assert not any(stage.startswith("correct") for stage in stages)


def test_photos_are_grids_by_default(crop):
    assert i2codec.info(i2codec.encode(crop[:32, :32], steps=20))["field"] == "grid"


def test_a_cut_file_is_a_coarser_picture(monkeypatch, crop):
    monkeypatch.setattr(latents_section, "SECTION_BYTES", 300)  # as if the photo were large
    monkeypatch.setattr(latents_section.pack_latents, "__kwdefaults__", {"section_bytes": 300})
    monkeypatch.setattr(grid_cut_readouts, "_LEAST_LATENTS_BYTES", 0)
    packed = i2codec.encode(crop, **{**_OPTIONS, "lmbda": 0.0005})
    cut = packed[: len(packed) * 2 // 3]
    with pytest.raises(i2codec.FormatError):
        i2codec.decode(cut)
    with pytest.warns(DamagedSourceWarning, match="the file is cut: [1-6] of 7 levels are whole"):
        coarse = i2codec.decode(cut, allow_truncated=True, size=(16, 14)).samples
    small = np.asarray(Image.fromarray(crop).resize((16, 14), Image.Resampling.BOX)) / 255.0
    assert _psnr(coarse, small) > 18.0
    (stored,) = read_file(packed)
    plain = write_file([replace(stored, grid=replace(stored.grid, readouts={}))])
    before = len(packed) - len(plain)  # bytes in front of the latents
    assert before > 0
    with pytest.warns(DamagedSourceWarning):
        pale = i2codec.decode(plain[: len(cut) - before], allow_truncated=True, size=(16, 14)).samples
    assert _psnr(coarse, small) > _psnr(pale, small)
    np.testing.assert_array_equal(i2codec.decode(plain).samples, i2codec.decode(packed).samples)


def test_info_speaks_of_grids(packed):
    found = i2codec.info(packed)
    assert found["field"] == "grid"
    assert found["levels"] == 7
    assert (found["layer"], found["steps"]) == ("unrolled", 3)
    assert "contraction" not in found
    assert found["size_bytes"] == len(packed)


def test_what_has_no_grid_field_says_so(tmp_path):
    corners = ["v 0 0 0", "v 1 0 0", "v 0 1 0", "v 0 0 1"]
    faces = ["f 1 3 2", "f 1 2 4", "f 1 4 3", "f 2 3 4"]
    shape = tmp_path / "s.obj"
    shape.write_text("\n".join([*corners, *faces]))
    with pytest.raises(OptionError, match="use --field coordinate"):
        i2codec.encode(shape, field="grid")


def test_the_field_is_a_function_of_coordinates(packed):
    field = i2codec.open(packed)
    whole = i2codec.decode(packed).samples.reshape(-1, 3)
    chosen = [0, 129, 5000, len(whole) - 1]
    np.testing.assert_allclose(field(field.coordinates()[chosen]), whole[chosen], atol=1e-5)
    between = field.coordinates((224, 260))[[300, 20_000]]
    np.testing.assert_allclose(
        field(between), i2codec.decode(packed, scale=2).samples.reshape(-1, 3)[[300, 20_000]], atol=1e-5
    )
    for function in (field.state, field.residual, field.gradient, field.hessian):
        with pytest.raises(OptionError, match="of coordinate fields"):
            function(field.coordinates()[:1])
    with pytest.raises(OptionError, match="of coordinate fields"):
        field.to_torch()
