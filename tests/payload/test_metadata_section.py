import tracemalloc

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from i2codec.container.limits import DEFAULT_LIMITS, Limits
from i2codec.errors import FormatError, LimitError, OptionError, TruncatedError
from i2codec.payload.metadata_section import METADATA_BLOCK, pack_metadata, unpack_metadata
from i2codec.signal.signal import MetadataKey

ICC, EXIF = MetadataKey.ICC_PROFILE, MetadataKey.EXIF


def compressed(blocks, **options):
    return zstandard.ZstdCompressor(**options).compress(blocks)


def block(key, content):
    return METADATA_BLOCK.pack(key=key, length=len(content)) + content


@given(st.dictionaries(st.sampled_from(MetadataKey), st.binary(max_size=300)))
def test_round_trip(metadata):
    payload = pack_metadata(metadata, limits=DEFAULT_LIMITS)
    assert unpack_metadata(payload, limits=DEFAULT_LIMITS) == metadata
    reordered = dict(reversed(metadata.items()))
    assert pack_metadata(reordered, limits=DEFAULT_LIMITS) == payload


def test_unknown_keys_are_left_out():
    payload = compressed(block(200, b"later") + block(ICC, b"profile") + block(0, b""))
    assert unpack_metadata(payload, limits=DEFAULT_LIMITS) == {ICC: b"profile"}


@pytest.mark.parametrize("cut", range(1, 9))
def test_cut_blocks_are_refused(cut):
    with pytest.raises(FormatError) as caught:
        unpack_metadata(compressed(block(EXIF, b"1234")[:-cut]), limits=DEFAULT_LIMITS)
    assert isinstance(caught.value, TruncatedError) == (cut > 4)  # inside the record, or inside its content


def test_a_key_comes_once():
    with pytest.raises(FormatError, match="two blocks of key 1"):
        unpack_metadata(compressed(block(ICC, b"a") + block(ICC, b"b")), limits=DEFAULT_LIMITS)


PAYLOAD = pack_metadata({ICC: bytes(range(256)), EXIF: b"camera"}, limits=DEFAULT_LIMITS)


@pytest.mark.parametrize("length", range(len(PAYLOAD)))
def test_every_cut_is_a_format_error(length):
    with pytest.raises(FormatError):
        unpack_metadata(PAYLOAD[:length], limits=DEFAULT_LIMITS)


@pytest.mark.parametrize("extra", [b"\x00", PAYLOAD], ids=["byte", "frame"])
def test_nothing_may_follow(extra):
    with pytest.raises(FormatError, match="cannot be decompressed"):
        unpack_metadata(PAYLOAD + extra, limits=DEFAULT_LIMITS)


@given(st.binary(max_size=100))
def test_noise_is_a_format_error(noise):
    with pytest.raises(FormatError):
        unpack_metadata(noise, limits=DEFAULT_LIMITS)


def test_the_size_must_be_announced():
    with pytest.raises(FormatError, match="does not announce"):
        unpack_metadata(compressed(block(ICC, b"a"), write_content_size=False), limits=DEFAULT_LIMITS)


def announcing(size):
    """A frame that announces ``size`` bytes in its header and holds none."""
    return b"\x28\xb5\x2f\xfd" + b"\xe0" + size.to_bytes(8, "little") + b"\x01\x00\x00"


@pytest.mark.parametrize("size", [2**24 + 1, 2**40, 2**63, 2**64 - 3])
def test_a_huge_announced_size_takes_no_memory(size):
    tracemalloc.start()
    try:
        with pytest.raises(LimitError, match=f"{size} bytes of metadata"):
            unpack_metadata(announcing(size), limits=DEFAULT_LIMITS)
        assert tracemalloc.get_traced_memory()[1] < 2**18
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("size", [1, 2**20])
def test_a_false_announced_size_is_refused(size):
    with pytest.raises(FormatError):
        unpack_metadata(announcing(size), limits=DEFAULT_LIMITS)


def test_a_bomb_is_refused():
    bomb = compressed(bytes(2**22))
    assert len(bomb) < 2**10
    with pytest.raises(LimitError):
        unpack_metadata(bomb, limits=Limits(max_metadata_bytes=2**22 - 1))


def test_the_writer_keeps_the_limit_of_the_reader():
    metadata = {ICC: bytes(95)}
    payload = pack_metadata(metadata, limits=Limits(max_metadata_bytes=100))
    assert unpack_metadata(payload, limits=Limits(max_metadata_bytes=100)) == metadata
    with pytest.raises(LimitError):
        unpack_metadata(payload, limits=Limits(max_metadata_bytes=99))
    with pytest.raises(OptionError, match="100 bytes of metadata; at most 99"):
        pack_metadata(metadata, limits=Limits(max_metadata_bytes=99))
