import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from i2codec.errors import OptionError
from i2codec.payload.file import StoredSignal
from i2codec.selection import Grid, Selection
from i2codec.signal.description import Axis, AxisName, ChannelRole, Kind, SampleFormat, SignalDescription
from i2codec.signal.timestamps import TimeStamps

GIVEN = {
    "scale": 0.5,
    "size": (20, 10),
    "region": (1, 2, 3, 4),
    "rate": 8000,
    "fps": 25,
    "start": 0.5,
    "duration": 1.0,
    "resolution": 64,
}
USES = {
    Kind.PHOTO: {"scale", "size", "region"},
    Kind.SOUND: {"rate", "start", "duration"},
    Kind.VIDEO: {"scale", "size", "region", "fps", "rate", "start", "duration"},
    Kind.SHAPE: {"scale", "resolution"},
}


def stored(kind, *extents, step=Fraction(1), timestamps=None):
    names = {
        Kind.PHOTO: (AxisName.Y, AxisName.X),
        Kind.SOUND: (AxisName.TIME,),
        Kind.VIDEO: (AxisName.TIME, AxisName.Y, AxisName.X),
        Kind.SHAPE: (AxisName.Z, AxisName.Y, AxisName.X),
    }[kind]
    axes = tuple(
        Axis(name, extent, step if name is AxisName.TIME else Fraction(1))
        for name, extent in zip(names, extents, strict=True)
    )
    description = SignalDescription(kind, axes, (ChannelRole.GREY,), SampleFormat.UINT8)
    return StoredSignal(description, (None,), timestamps=timestamps)


PHOTO = stored(Kind.PHOTO, 30, 40)
SOUND = stored(Kind.SOUND, 16000, step=Fraction(1, 8000))
VIDEO = stored(Kind.VIDEO, 50, 30, 40, step=Fraction(1, 25))
SHAPE = stored(Kind.SHAPE, 20, 50, 100)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 2.0, "size": (4, 4)}, "scale and size were both given"),
        ({"scale": 2.0, "resolution": 64}, "scale and resolution were both given"),
        ({"size": (0, 4)}, "size 0x4; expected at least 1x1"),
        ({"size": (4, -1)}, "size 4x-1; expected at least 1x1"),
        ({"rate": 0}, "rate 0; expected 0.01 to 768000 per second"),
        ({"rate": math.nan}, "rate nan; expected 0.01 to"),
        ({"rate": Fraction(768_001)}, "rate 768001; expected 0.01 to 768000"),
        ({"fps": -1.0}, r"fps -1\.0; expected 0.01 to 1000 per second"),
        ({"fps": 1000.5}, r"fps 1000\.5; expected"),
        ({"start": -0.1}, r"start -0\.1 s; expected 0 or more"),
        ({"start": math.inf}, "start inf s"),
        ({"start": math.nan}, "start nan s"),
        ({"duration": 0.0}, r"duration 0\.0 s; expected more than 0"),
        ({"duration": math.inf}, "duration inf s"),
        ({"duration": math.nan}, "duration nan s"),
        ({"resolution": 1}, "resolution 1; expected 2 to 4096 cells"),
        ({"resolution": 4097}, "resolution 4097; expected 2 to 4096 cells"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(options, message):
    with pytest.raises(OptionError, match=message):
        Selection(**options)


def test_the_ends_of_the_ranges_are_taken():
    Selection(size=(1, 1), rate=768_000, fps=1000, start=0.0, duration=1e-9)
    Selection(resolution=2)
    Selection(resolution=4096)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("name", GIVEN)
def test_what_a_kind_has_no_use_for_is_named(kind, name):
    selection = Selection(**{name: GIVEN[name]})
    if name in USES[kind]:
        selection.check(kind)
        return
    with pytest.raises(OptionError, match=f"^{name} has no meaning for a {kind.name.lower()}; it takes ") as caught:
        selection.check(kind)
    assert set(str(caught.value).partition("it takes ")[2].split(", ")) == USES[kind]


@pytest.mark.parametrize("kind", Kind)
def test_nothing_asked_for_fits_every_kind(kind):
    Selection().check(kind)


@pytest.mark.parametrize(
    ("signal", "options", "expected"),
    [
        (PHOTO, {}, Grid(None, None, None)),
        (PHOTO, {"scale": 0.25}, Grid((8, 10), None, None)),
        (PHOTO, {"size": (7, 300)}, Grid((300, 7), None, None)),
        (PHOTO, {"region": (30, 20, 10, 5)}, Grid(None, None, ((20, 5), (30, 10)))),
        (SOUND, {}, Grid(None, None, None)),
        (SOUND, {"rate": 44100}, Grid(None, Fraction(44100), None)),
        (SOUND, {"rate": 11025.5}, Grid(None, Fraction(22051, 2), None)),
        (VIDEO, {}, Grid((50, 30, 40), None, ((0, 50), (0, 30), (0, 40)))),
        (VIDEO, {"scale": 2}, Grid((50, 60, 80), None, ((0, 50), (0, 30), (0, 40)))),
        (VIDEO, {"size": (20, 9)}, Grid((50, 9, 20), None, ((0, 50), (0, 30), (0, 40)))),
        (VIDEO, {"fps": 29.97, "rate": 8000}, Grid((50, 30, 40), Fraction(2997, 100), ((0, 50), (0, 30), (0, 40)))),
        (
            VIDEO,
            {"start": 1.0, "duration": 0.4, "region": (1, 2, 3, 4)},
            Grid((50, 30, 40), None, ((25, 10), (2, 4), (1, 3))),
        ),
        (SHAPE, {}, Grid(None, None, None)),
        (SHAPE, {"scale": 2.0}, Grid((40, 100, 200), None, None)),
        (SHAPE, {"resolution": 25}, Grid((5, 13, 25), None, None)),
    ],
)
def test_options_are_a_grid(signal, options, expected):
    assert Selection(**options).grid(signal) == expected


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("signal", [PHOTO, VIDEO, SHAPE])
def test_a_scale_is_above_zero(signal, scale):
    with pytest.raises(OptionError, match=r"scale .*; expected a finite number above 0"):
        Selection(scale=scale).grid(signal)


@pytest.mark.parametrize("region", [(-1, 0, 3, 3), (0, -1, 3, 3), (0, 0, 41, 3), (0, 28, 3, 3), (0, 0, 0, 3)])
@pytest.mark.parametrize(("signal", "name"), [(PHOTO, "photo"), (VIDEO, "video")])
def test_a_region_lies_inside_the_picture(signal, name, region):
    left, top, width, height = region
    message = f"region {left},{top},{width},{height} does not lie inside the {name} of 40x30"
    with pytest.raises(OptionError, match=message):
        Selection(region=region).grid(signal)


@pytest.mark.parametrize(
    ("start", "duration", "expected"),
    [
        (0.25, 0.5, (2000, 4000)),
        (None, 0.5, (0, 4000)),
        (0.25, None, (2000, 14000)),
        (1.5, 99.0, (12000, 4000)),
        (0.0, 1e-9, (0, 1)),
        (1.99999, None, (15999, 1)),
        (0.1, 0.3, (800, 2400)),
    ],
)
def test_times_are_the_nearest_samples(start, duration, expected):
    assert Selection(start=start, duration=duration).grid(SOUND).region == (expected,)


@pytest.mark.parametrize(("signal", "name"), [(SOUND, "sound"), (VIDEO, "video")])
@pytest.mark.parametrize("start", [2.0, 7.0])
def test_a_start_lies_before_the_end(signal, name, start):
    with pytest.raises(OptionError, match=f"start {start} s; the {name} lasts 2 s"):
        Selection(start=start).grid(signal)


@given(st.integers(1, 500), st.fractions(Fraction(1, 100), 500), st.data())
def test_parts_that_follow_each_other_leave_out_no_sample(extent, rate, data):
    signal = stored(Kind.SOUND, extent, step=1 / rate)
    cut = data.draw(st.floats(0.0, float(extent / rate), exclude_min=True, exclude_max=True))
    ((first, length),) = Selection(duration=cut).grid(signal).region
    ((start, rest),) = Selection(start=cut).grid(signal).region
    assert first == 0
    assert start + rest == extent
    assert abs(length - start) <= (0 if 0.5 < cut * rate < extent - 0.5 else 1)  # both have at least one


def stamped(base, ticks):
    stamps = TimeStamps(base, ticks)
    step = stamps.duration / stamps.frame_count
    return stored(Kind.VIDEO, stamps.frame_count, 3, 4, step=step, timestamps=stamps)


UNEVEN = stamped(Fraction(1, 1000), (0, 100, 200, 1000, 1100))


@pytest.mark.parametrize(
    ("start", "duration", "expected"),
    [
        (0.0, None, (0, 4)),
        (0.1, None, (1, 3)),
        (0.15, None, (1, 3)),
        (0.5, None, (2, 2)),
        (0.5, 0.1, (2, 1)),
        (0.5, 0.55, (2, 2)),
        (None, 0.2, (0, 2)),
        (None, 0.25, (0, 3)),
        (0.1, 0.1, (1, 1)),
        (1.05, 9.0, (3, 1)),
        (1.0999, None, (3, 1)),
    ],
)
def test_times_of_frames_go_by_their_time_stamps(start, duration, expected):
    assert Selection(start=start, duration=duration).grid(UNEVEN).region[0] == expected


def test_the_last_time_stamp_is_the_end():
    with pytest.raises(OptionError, match=r"start 1\.1000001 s; the video lasts 1\.1 s"):
        Selection(start=1.1000001).grid(UNEVEN)
    with pytest.raises(OptionError, match="the video lasts"):
        Selection(start=1.2).grid(UNEVEN)


@given(
    st.sampled_from([Fraction(1, 90000), Fraction(1001, 30000), Fraction(1, 10), Fraction(1, 1000)]),
    st.lists(st.integers(1, 60), min_size=2, max_size=12),
    st.data(),
)
def test_the_moment_a_frame_begins_is_found_though_floats_are_inexact(base, gaps, data):
    ticks = (0, *(sum(gaps[: count + 1]) for count in range(len(gaps))))
    frame = data.draw(st.integers(1, len(gaps) - 1))
    signal, moment = stamped(base, ticks), float(ticks[frame] * base)
    assert Selection(start=moment).grid(signal).region[0] == (frame, len(gaps) - frame)
    assert Selection(duration=moment).grid(signal).region[0] == (0, frame)
