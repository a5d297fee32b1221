"""Golden files of every format version: they decode forever, and damage to them is always found."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import i2codec
from i2codec.container.reader import read_container
from i2codec.container.section import SectionType
from i2codec.payload.file import read_file, write_file
from i2codec.payload.network_header import NETWORK_HEADER
from i2codec.payload.stored_grid import StoredLattice
from i2codec.signal.signal import MetadataKey
from i2codec.signal.timestamps import TimeStamps

_FOLDER = Path(__file__).parent / "golden"
_NAMES = ["photo_v1", "transparent_v1", "heights_v1", "sound_v1", "video_v1", "shape_v1"]
_GRID_NAMES = ["grid_photo_v1", "planes_photo_v1"]
_LATTICE_NAMES = ["lattice_v1"]
_LARGEST_MEMORY = 512 * 2**20


def _bytes(name: str) -> bytes:
    return (_FOLDER / f"{name}.i2").read_bytes()


@pytest.mark.parametrize("name", _NAMES)
def test_it_decodes_to_the_same_samples(name: str) -> None:
    expected = np.load(_FOLDER / f"{name}.npy")
    decoded = i2codec.decode(_bytes(name), device="cpu")
    assert expected.std() > 0.1
    assert np.abs(decoded.samples - expected).max() < 0.5 / 255  # 1e-6 seen on the machine that made them


@pytest.mark.parametrize("name", _GRID_NAMES)
def test_a_grid_field_has_the_same_parts(name: str) -> None:
    """Pins every latent, parameter and integer of the context model."""
    (stored,) = read_file(_bytes(name))
    assert stored.grid is not None
    with np.load(_FOLDER / f"{name}.npz") as expected:
        latents = stored.grid.latents.levels()
        network, model = stored.grid.network, stored.grid.network.context_model()
        found = {f"latents_{level}": values for level, values in enumerate(latents)}
        found |= network.dequantised().tensors
        found |= {tensor: getattr(model, tensor) for tensor in ("w1", "b1", "w2", "b2", "w3", "b3")}
        assert set(expected) == set(found)
        for part, values in found.items():
            assert values.dtype == expected[part].dtype
            np.testing.assert_array_equal(values, expected[part])
            assert part in ("latents_3", "e_2", "w2") or values.any()


@pytest.mark.parametrize("name", _LATTICE_NAMES)
def test_a_lattice_has_the_same_latents_and_samples(name: str) -> None:
    (stored,) = read_file(_bytes(name))
    assert isinstance(stored.grid, StoredLattice)
    decoded = i2codec.decode(_bytes(name), device="cpu").samples
    with np.load(_FOLDER / f"{name}.npz") as expected:
        assert set(expected) == {"samples", *(f"latents_{unit}" for unit in range(stored.grid.units.unit_count))}
        for unit in range(stored.grid.units.unit_count):
            latents = stored.grid.units.unit(unit).latents
            assert latents.any()
            np.testing.assert_array_equal(latents, expected[f"latents_{unit}"])
        assert expected["samples"].std() > 0.1
        assert np.abs(decoded - expected["samples"]).max() < 0.5 / 2**15


@pytest.mark.parametrize("name", _NAMES + _GRID_NAMES + _LATTICE_NAMES)
def test_writing_it_again_gives_the_same_bytes(name: str) -> None:
    """Pins every word of the range coder, and the writer's framing."""
    assert write_file(read_file(_bytes(name))) == _bytes(name)


@pytest.mark.parametrize(("names", "table_set"), [(_NAMES, 1), (_GRID_NAMES, 2)])
def test_files_of_each_set_of_tables_are_among_them(names: list[str], table_set: int) -> None:
    for name in names:
        sections = read_container(_bytes(name)).sections
        networks = [section.payload for section in sections if section.type == SectionType.NETWORK]
        assert networks
        assert {NETWORK_HEADER.unpack(payload)["tables"] for payload in networks} == {table_set}


def test_metadata_is_there() -> None:
    assert i2codec.decode(_bytes("transparent_v1")).metadata == {
        MetadataKey.ICC_PROFILE: bytes(range(200)),
        MetadataKey.EXIF: b"MM\x00*\x00\x00\x00\x08\x00\x00",
    }


def test_a_sound_of_two_segments_is_there() -> None:
    values = i2codec.info(_bytes("sound_v1"))
    assert (values["units"], values["shape"], values["rate_hz"]) == (2, [9000, 1], 8000.0)
    assert i2codec.decode(_bytes("sound_v1")).metadata == {MetadataKey.TAGS: b'{"title":"Two tones"}'}


def test_a_video_has_its_time_stamps_and_sound() -> None:
    expected = np.load(_FOLDER / "video_v1_sound.npy")
    track = i2codec.decode(_bytes("video_v1"), signal=1, device="cpu")
    assert expected.std() > 0.1
    assert np.abs(track.samples - expected).max() < 0.5 / 255
    assert i2codec.decode(_bytes("video_v1")).timestamps == TimeStamps(Fraction(1, 20), (0, 1, 3, 4, 7))


def test_a_shape_has_its_place() -> None:
    affine = i2codec.decode(_bytes("shape_v1")).description.affine
    assert affine == (10.0, 0.0, 0.0, 5.0, 0.0, 10.0, 0.0, -2.0, 0.0, 0.0, 10.0, 0.5)


@pytest.mark.parametrize("name", _NAMES + _GRID_NAMES + _LATTICE_NAMES)
def test_every_truncation_is_found(name: str) -> None:
    data = _bytes(name)
    for length in range(len(data)):
        with pytest.raises(i2codec.FormatError):
            i2codec.decode(data[:length])


@pytest.mark.parametrize("name", _GRID_NAMES)
def test_every_flipped_byte_of_a_grid_field_is_found(name: str) -> None:
    data = bytearray(_bytes(name))
    for position in range(len(data)):
        for flip in (0x01, 0x80, 0xFF):
            data[position] ^= flip
            with pytest.raises(i2codec.FormatError):
                read_file(bytes(data))
            data[position] ^= flip


@pytest.mark.parametrize("name", _NAMES)
def test_every_flipped_byte_is_found_within_memory(name: str) -> None:
    data = bytearray(_bytes(name))
    expected = i2codec.decode(bytes(data)).samples
    tracemalloc.start()
    for position in range(len(data)):
        for flip in (0x01, 0x80, 0xFF):
            data[position] ^= flip
            try:
                decoded = i2codec.decode(bytes(data))
            except i2codec.FormatError:
                pass
            else:
                np.testing.assert_array_equal(decoded.samples, expected)
            data[position] ^= flip
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < _LARGEST_MEMORY
