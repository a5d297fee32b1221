import constriction
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from i2codec.entropy import coder
from i2codec.entropy.coder import Decoder, Encoder
from i2codec.entropy.tables import LARGEST_MAGNITUDE, load_tables
from i2codec.errors import FormatError, OptionError

TABLES = load_tables(2)  # those of set 1 first
TABLE = st.sampled_from(TABLES)
INTEGER = st.one_of(st.integers(-3, 3), st.integers(-2000, 2000), st.integers(-LARGEST_MAGNITUDE, LARGEST_MAGNITUDE))
GROUPS = st.lists(st.tuples(TABLE, st.lists(INTEGER, max_size=20)), max_size=5)


def encoded(groups):
    encoder = Encoder()
    for table, values in groups:
        array = np.array(values, dtype=np.int64)
        np.testing.assert_array_equal(encoder.code(array, count=len(values), table=table), array)
    return encoder.to_bytes()


def range_after(symbol, model):
    encoder = constriction.stream.queue.RangeEncoder()
    encoder.encode(np.array([symbol], dtype=np.int32), model)
    return encoder.pos()[1][1]


@pytest.mark.parametrize("number", range(len(TABLES)))
def test_the_range_coder_uses_the_exact_frequencies(number):
    frequencies = TABLES[number].frequencies
    last = len(frequencies) - 1
    symbols = range(last + 1) if number % 9 == 0 else {0, 1, last // 2, last - 1, last}
    model = coder._model(TABLES[number])
    share = (2**64 - 1) >> 24  # of one of the 2²⁴ parts of the first range
    for symbol in symbols:
        assert range_after(symbol, model) == share * int(frequencies[symbol]) * 256


@pytest.mark.parametrize("size", [2, 32, 2**23])
def test_uniform_models_are_exact(size):
    model = coder._uniform_model(size)
    share = (2**64 - 1) >> 24
    assert {range_after(symbol, model) for symbol in (0, 1, size - 1)} == {share * 2**24 // size}


GOLDEN = [
    (
        TABLES[5],
        [0, 1, -1, 5, -5, 6, -7, 1000, -LARGEST_MAGNITUDE, LARGEST_MAGNITUDE, 3],
        "7a6688baff597a93ff1f25ff693dfdff7f7a2c78ffc360f900007ec7",
    ),
    (TABLES[40], [0, 0, 0, 1, 0, -1, 0, 0, 2, 0], "7e7d1093"),
    (TABLES[88], [17, -500, 1023, -1023, 1024, 0], "ff2f2182c3ad4c6200209cf1"),
    (TABLES[89], [0] * 50, "08d53100"),
    (TABLES[0], [], ""),
]


@pytest.mark.parametrize(("table", "values", "words"), GOLDEN)
def test_golden_words(table, values, words):
    assert encoded([(table, values)]).hex() == words
    decoder = Decoder(bytes.fromhex(words))
    assert decoder.code(None, count=len(values), table=table).tolist() == values
    decoder.finish()


class PlainDecoder:
    """The range decoder of docs/format.md, step by step."""

    def __init__(self, data):
        self.words = iter(np.frombuffer(data, dtype="<u4").tolist())
        self.r = (self._next() << 32) + self._next()
        self.range = 2**64 - 1

    def _next(self):
        return next(self.words, 0)

    def symbol(self, frequencies):
        part = self.range >> 24
        q, before, symbol = self.r // part, 0, 0
        assert q < 2**24
        while q >= before + frequencies[symbol]:
            before += frequencies[symbol]
            symbol += 1
        self.r -= part * before
        self.range = part * frequencies[symbol]
        if self.range < 2**32:
            self.range <<= 32
            self.r = (self.r << 32) + self._next()
        return symbol

    def uniform(self, size):
        return self.symbol([2**24 // size] * size)

    def integers(self, count, table):
        radius = table.radius
        frequencies = [256 * frequency for frequency in table.frequencies.tolist()]
        values = [self.symbol(frequencies) - radius for _ in range(count)]
        for position, value in enumerate(values):
            if value == radius + 1:
                negative = self.uniform(2)
                length = self.uniform(32)
                magnitude = radius + 2**length + (self.uniform(2**length) if length else 0)
                values[position] = -magnitude if negative else magnitude
        return values


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from(TABLES[::6]), st.lists(st.integers(-1500, 1500), max_size=8)), max_size=3))
def test_the_format_page_suffices_to_decode(groups):
    decoder = PlainDecoder(encoded(groups))
    for table, values in groups:
        assert decoder.integers(len(values), table) == values


@given(GROUPS)
def test_integers_come_back(groups):
    decoder = Decoder(encoded(groups))
    for table, values in groups:
        decoded = decoder.code(None, count=len(values), table=table)
        assert decoded.dtype == np.int64
        assert decoded.tolist() == values
    decoder.finish()


@pytest.mark.parametrize("number", [0, 9, 25, 33, 40, 55, 67, 75, 88, 90, 141, 190, 233])
@pytest.mark.parametrize("scale", [0.3, 5.0, 2000.0])
def test_the_coded_size_is_the_rate(number, scale):
    table = TABLES[number]
    values = np.rint(np.random.default_rng(number).laplace(size=3000) * scale).astype(np.int64)
    magnitudes, counts = np.unique(np.abs(values), return_counts=True)
    rate_bytes = table.rate_bits(magnitudes, counts) / 8
    assert 0.99 * rate_bytes - 64 < len(encoded([(table, values)])) < 1.01 * rate_bytes + 64


@settings(max_examples=300)
@given(st.binary(max_size=64), st.lists(st.tuples(TABLE, st.integers(0, 200)), min_size=1, max_size=5))
def test_noise_decodes_to_integers_in_range_or_not_at_all(noise, groups):
    try:
        decoder = Decoder(noise)
        for table, count in groups:
            decoded = decoder.code(None, count=count, table=table)
            assert decoded.shape == (count,)
            assert np.abs(decoded).max(initial=0) <= LARGEST_MAGNITUDE
        decoder.finish()
    except FormatError:
        pass


def escape_of(*, length, mantissa, table):
    """Bytes of one escape that no encoder writes."""
    encoder = constriction.stream.queue.RangeEncoder()
    encoder.encode(np.array([2 * table.radius + 1], dtype=np.int32), coder._model(table))
    for value, size in ((0, 2), (length, 32), (mantissa, 1 << min(length, 23))):
        encoder.encode(np.array([value], dtype=np.int32), coder._uniform_model(size))
    return encoder.get_compressed().astype("<u4").tobytes()


@pytest.mark.parametrize("length", [24, 31])
def test_an_escape_of_too_many_bits_is_refused(length):
    with pytest.raises(FormatError, match=f"{length + 1} bits"):
        Decoder(escape_of(length=length, mantissa=0, table=TABLES[5])).code(None, count=1, table=TABLES[5])


def test_an_escape_over_the_largest_magnitude_is_refused():
    table = TABLES[5]
    largest = 2**23 - 1 - table.radius
    decoder = Decoder(escape_of(length=23, mantissa=largest, table=table))
    assert decoder.code(None, count=1, table=table).tolist() == [LARGEST_MAGNITUDE]
    with pytest.raises(FormatError, match=f"magnitude {LARGEST_MAGNITUDE + 1}"):
        Decoder(escape_of(length=23, mantissa=largest + 1, table=table)).code(None, count=1, table=table)


@pytest.mark.parametrize("value", [LARGEST_MAGNITUDE + 1, -LARGEST_MAGNITUDE - 1])
def test_the_encoder_refuses_what_no_decoder_takes(value):
    with pytest.raises(OptionError, match="use a larger step"):
        encoded([(TABLES[0], [0, value])])


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_words_must_be_whole(length):
    with pytest.raises(FormatError, match=f"{length} bytes"):
        Decoder(bytes(length))


def test_words_left_over_are_refused():
    values = list(range(-20, 20))
    decoder = Decoder(encoded([(TABLES[20], values)]) + bytes(12))
    assert decoder.code(None, count=40, table=TABLES[20]).tolist() == values
    with pytest.raises(FormatError, match="left over"):
        decoder.finish()
