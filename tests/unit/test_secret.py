"""A Secret shows itself to nobody, and what was revealed is masked in every text."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from siteferry.errors import LoginRefused
from siteferry.secret import MASK, Secret, redact


@pytest.mark.parametrize("show", [str, repr, "{}".format, "{!r:>40}".format, "%s".__mod__])
def test_no_way_of_printing_shows_the_value(show: object) -> None:
    assert "hunter2" not in show(Secret("hunter2"))  # type: ignore[operator]


@pytest.mark.parametrize("take", [pickle.dumps, copy.copy, copy.deepcopy, json.dumps])
def test_it_refuses_to_be_copied_out(take: object) -> None:
    with pytest.raises(TypeError):
        take(Secret("hunter2"))  # type: ignore[operator]


def test_only_reveal_gives_it_back() -> None:
    assert Secret("some-value-1").reveal() == "some-value-1"


def test_what_was_revealed_is_masked_in_errors_too() -> None:
    value = Secret("mark-4711-ed").reveal()
    error = LoginRefused(f"USER refused {value}", reply=f"530 {value}?")
    assert value not in str(error)
    assert MASK in str(error)


def test_a_secret_that_begins_with_another_leaves_no_tail() -> None:
    Secret("shared-start").reveal()
    Secret("shared-start-and-more").reveal()
    assert redact("x shared-start-and-more y") == f"x {MASK} y"


def test_a_quoted_or_url_encoded_secret_is_masked_as_well() -> None:
    value = Secret('it\'s "a\\b" ü').reveal()
    assert redact(repr(value)) in (f"'{MASK}'", f'"{MASK}"')
    assert redact("redis://:it%27s%20%22a%5Cb%22%20%C3%BC@h") == f"redis://:{MASK}@h"


def test_a_user_name_is_given_without_being_masked_everywhere() -> None:
    assert redact(f"user {Secret('publisher').reveal(masked=False)}") == "user publisher"


def test_equal_secrets_are_equal_without_being_shown() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
