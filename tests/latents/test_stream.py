import itertools

import numpy as np
import pytest

from i2codec.errors import FormatError, OptionError
from i2codec.latents import plain
from i2codec.latents.model import ContextModel
from i2codec.latents.stream import LatentDecoder, LatentEncoder, _shortest
from i2codec.latents.template import LARGEST_LATENT, Template

SHAPES = [(1, 2, 3), (1, 3, 6), (1, 6, 11), (1, 12, 22)]  # a pyramid, coarsest first


@pytest.fixture(scope="module")
def model():
    rng = np.random.default_rng(0)
    shapes = (3, 4, 17), (4, 4), (3, 4, 4), (3, 4), (3, 2, 4), (4, 2)
    return ContextModel(Template.PLANE, *(rng.integers(-200, 200, shape) for shape in shapes))


def pyramid(spread=4.0):
    rng = np.random.default_rng(1)
    return [np.rint(rng.laplace(size=shape) * spread).astype(np.int32) for shape in SHAPES]


def code_pyramid(coder, grids):
    """The one traversal; a decoder is given ``None`` for each grid."""
    coded = []
    for level, (grid, shape) in enumerate(zip(grids, SHAPES, strict=True)):
        coarser, coarsest = ([None, None, *coded][level + 1], [None, None, *coded][level])
        coded.append(coder.code(grid, shape=shape, coarser=coarser, coarsest=coarsest, level=3 - level))
    return coded


def test_a_stream_holds_several_grids(model):
    grids = pyramid()
    encoder = LatentEncoder(model)
    assert encoder.to_bytes() == b""
    for coded, grid in zip(code_pyramid(encoder, grids), grids, strict=True):
        np.testing.assert_array_equal(coded, grid)
    data = encoder.to_bytes()
    assert encoder.to_bytes() == data
    assert abs(encoder.byte_count - len(data)) <= 4
    decoder = LatentDecoder(data, model)
    for decoded, grid in zip(code_pyramid(decoder, [None] * 4), grids, strict=True):
        np.testing.assert_array_equal(decoded, grid)
    decoder.finish()


def test_the_plain_twin_writes_the_same_stream(model):
    grids = pyramid()
    encoder, coder = LatentEncoder(model), plain.RangeCoder(None)
    code_pyramid(encoder, grids)
    for level, grid in enumerate(grids):
        coarser = ([None, None, *grids][level + 1], [None, None, *grids][level])
        plain.traverse(grid.copy(), coder, coarser=coarser, model=model, level=3 - level)
    assert encoder.to_bytes() == coder.shortest()


def test_a_carry_goes_as_far_as_it_must(model):
    """Zeros in a code are words of ones to the encoder until it learns what comes after them."""
    most_changed = 0
    for start in range(1, 12):
        decoder = LatentDecoder(bytes([start]) + bytes(24) + b"\1\2\3\4\5\6\7", model)
        encoder, coder = LatentEncoder(model), plain.RangeCoder(None)
        written = []
        for _ in range(40):
            values = decoder.code(None, shape=(1, 1, 9), coarser=None, coarsest=None, level=0)
            encoder.code(values, shape=(1, 1, 9), coarser=None, coarsest=None, level=0)
            plain.traverse(values, coder, coarser=(None, None), model=model, level=0)
            written.append(encoder._words[: encoder._word_count].tolist())
        changes = [sum(map(int.__ne__, before, after)) for before, after in itertools.pairwise(written)]
        most_changed = max(most_changed, *changes)
        assert encoder.to_bytes() == coder.shortest()
    assert most_changed >= 5


def test_finish_finds_what_was_not_read(model):
    encoder = LatentEncoder(model)
    code_pyramid(encoder, pyramid())
    decoder = LatentDecoder(encoder.to_bytes(), model)
    decoder.code(None, shape=SHAPES[0], coarser=None, coarsest=None, level=3)
    with pytest.raises(FormatError, match="do not end where their last symbol does"):
        decoder.finish()


@pytest.mark.parametrize("data", [b"", b"\0"])
def test_a_stream_of_nothing_has_no_bytes(model, data):
    decoder = LatentDecoder(data, model)
    if data:
        with pytest.raises(FormatError, match="coded latents of 1 bytes"):
            decoder.finish()
    else:
        decoder.finish()


def test_a_refused_grid_leaves_the_stream_as_it_was(model):
    grids = pyramid()
    encoder = LatentEncoder(model)
    with pytest.raises(OptionError):
        encoder.code(grids[0] + LARGEST_LATENT, shape=SHAPES[0], coarser=None, coarsest=None, level=0)
    with pytest.raises(OptionError, match="expected"):
        encoder.code(grids[0], shape=SHAPES[1], coarser=None, coarsest=None, level=0)
    with pytest.raises(OptionError, match="level 4"):
        encoder.code(grids[0], shape=SHAPES[0], coarser=None, coarsest=None, level=4)
    assert encoder.to_bytes() == b""


@pytest.mark.parametrize("sign", [1, -1])
def test_a_latent_over_the_largest_is_refused(model, monkeypatch, sign):
    monkeypatch.setattr(type(model.template), "largest_latent", 10**6)
    values = np.array([[[1, 0, sign * (LARGEST_LATENT + 1)]]])
    data = plain.encode_plain(values, coarser=(None, None), model=model, level=0)
    monkeypatch.undo()
    with pytest.raises(FormatError, match="magnitude over 32767"):
        LatentDecoder(data, model).code(None, shape=(1, 1, 3), coarser=None, coarsest=None, level=0)


def test_a_state_that_no_symbol_matches_is_refused(model):
    with pytest.raises(FormatError, match="no symbol matches"):
        LatentDecoder(b"\xff" * 400, model).code(None, shape=(1, 9, 9), coarser=None, coarsest=None, level=0)


@pytest.mark.parametrize(
    ("low", "span", "number"),
    [
        (0, 2**64 - 1, 0),
        (1, 2**64 - 1, 2**56),
        (2**56, 2**32, 2**56),
        (2**56 + 1, 2**32, 2**56 + 2**32),
        (2**56 + 1, 2**40, 2**56 + 2**40),
        (2**56 + 1, 2**40 - 1, 2**56 + 2**32),
        (2**64 - 2**33, 2**33, 2**64 - 2**33),
        (2**64 - 2**33, 2**33 + 1, 2**64),
        (2**64 - 1, 2**40, 2**64),
    ],
)
def test_the_shortest_end(low, span, number):
    assert _shortest(low, span) == number


class PageDecoder(plain.RangeCoder):
    """The range decoder of docs/format.md, step by step, in 64 bits."""

    def __init__(self, data):
        super().__init__(data)
        self.following = iter(data)
        self.x, self.range = self.taken(8), 2**64 - 1

    def taken(self, count):
        return int.from_bytes([next(self.following, 0) for _ in range(count)], "big")

    def share(self, bits):
        share = self.x // (self.range >> bits)
        if share >= 2**bits:
            raise FormatError("corrupt")
        return share

    def narrow(self, before, frequency, bits):
        part = self.range >> bits
        self.x, self.low, self.range = self.x - part * before, (self.low + part * before) % 2**64, part * frequency
        if self.range < 2**32:
            self.range <<= 32
            self.x = (self.x << 32) + self.taken(4)
            self.low = (self.low << 32) % 2**64

    def finish(self):
        for u in (2**64, 2**56, 2**48, 2**40, 2**32):
            m = (self.low + u - 1) // u * u
            if m < self.low + self.range:
                break
        if (self.x + self.low - m) % 2**64 or self.data.endswith(b"\0") or next(self.following, None) is not None:
            raise FormatError("not the shortest")


def decoded_by_the_page(data, model, shape):
    decoder, grid = PageDecoder(data), np.zeros(shape, dtype=np.int32)
    try:
        plain.traverse(grid, decoder, coarser=(None, None), model=model, level=0)
        decoder.finish()
    except FormatError:
        return None
    return grid.tolist()


def test_the_format_page_suffices_to_tell_right_codes_from_others(model):
    rng = np.random.default_rng(5)
    refused = 0
    for _ in range(300):
        values = np.rint(rng.laplace(size=(1, 2, 4)) * 3).astype(np.int32)
        encoder = LatentEncoder(model)
        encoder.code(values, shape=values.shape, coarser=None, coarsest=None, level=0)
        data = encoder.to_bytes()
        assert decoded_by_the_page(data, model, values.shape) == values.tolist()
        others = [
            data[:-1],
            data + bytes([rng.integers(256)]),
            data[:-1] + rng.bytes(1),
            rng.bytes(int(rng.integers(9))),
        ]
        for other in others:
            decoder = LatentDecoder(other, model)
            try:
                expected = decoder.code(None, shape=values.shape, coarser=None, coarsest=None, level=0).tolist()
                decoder.finish()
            except FormatError:
                expected = None
                refused += 1
            assert decoded_by_the_page(other, model, values.shape) == expected
    assert 300 < refused < 1100
