import re

import pytest

import i2codec
from i2codec import errors

LINE = re.compile(r"^    (?P<prefix>[│ ]*[├└]── )?(?P<name>[A-Z]\w+)(?: +\((?P<base>\w+)\))?(?:  +.*)?$")


def documented_tree():
    """Parent and second base of each class, read from the tree in the module's docstring."""
    tree, path = {}, []
    for line in errors.__doc__.splitlines():
        if match := LINE.match(line):
            depth = len(match["prefix"] or "") // 4
            path[depth:] = [match["name"]]
            tree[match["name"]] = (path[depth - 1] if depth else "Exception", match["base"])
    return tree


def test_the_tree_is_read_from_the_docstring():
    tree = documented_tree()
    assert tree["I2Error"] == ("Exception", None)
    assert tree["LimitError"] == ("FormatError", None)
    assert tree["MissingExtraError"] == ("I2Error", "ImportError")


@pytest.mark.parametrize("name", errors.__all__)
def test_bases_are_those_of_the_docstring(name):
    parent, second = documented_tree()[name]
    assert [base.__name__ for base in getattr(errors, name).__bases__] == [parent] + [second] * (second is not None)


def test_the_docstring_names_every_class_and_no_other():
    defined = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert set(documented_tree()) == set(errors.__all__) == defined


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_is_public(name):
    assert name in i2codec.__all__
    assert getattr(i2codec, name) is getattr(errors, name)


def test_messages_survive_every_base():
    for name in errors.__all__:
        assert str(getattr(errors, name)("what was found")) == "what was found"
