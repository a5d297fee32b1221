from dataclasses import dataclass

import pytest

from i2codec.errors import OptionError
from i2codec.field.registry import build


@dataclass(frozen=True)
class Plain:
    pass


@dataclass(frozen=True)
class Tuned:
    first: int = 1
    second: int = 2


METHODS: dict[str, type[Plain | Tuned]] = {"tuned": Tuned, "plain": Plain}


def test_a_method_is_built_with_its_options():
    assert build(METHODS, "tuned", {"second": 5}, role="method") == Tuned(1, 5)
    assert build(METHODS, "plain", {}, role="method") == Plain()


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(OptionError, match="unknown method 'nothing'; expected one of plain, tuned"):
        build(METHODS, "nothing", {}, role="method")


def test_unknown_options_are_named_with_the_known_ones():
    with pytest.raises(OptionError, match="method tuned has no option third; expected one of first, second"):
        build(METHODS, "tuned", {"first": 1, "third": 3}, role="method")
    with pytest.raises(OptionError, match="method plain has no option a, b; expected one of none"):
        build(METHODS, "plain", {"b": 1, "a": 3}, role="method")
