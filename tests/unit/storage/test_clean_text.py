"""Text on its way out: no secrets, and nothing that controls a terminal or a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import clean_text
from storage.clean_text import (
    MIN_LENGTH_WITHIN_WORDS,
    MIN_SECRET_LENGTH,
    clean,
    clean_json,
    clean_lines,
    csv_cell,
    printable,
    remember_secrets,
    without_secrets,
)

ESC, BEL, CSI, BIDI, HALF = "\x1b[2J", "\x07", "\x9b31m", "\u202e", "\ud800"
HOSTILE = f"a{ESC}b{BEL}c{CSI}d{BIDI}e{HALF}f\r\n\x7f\u2028"
ANY_TEXT = st.text(st.characters(), max_size=40)  # lone surrogates among them
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=10,
)


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Let each test begin and end with no known secret."""
    known = set(clean_text._known)  # noqa: SLF001 - it outlives a test otherwise
    clean_text._known.clear()  # noqa: SLF001 - the same
    remember_secrets({})
    yield
    clean_text._known.clear()  # noqa: SLF001 - the same
    clean_text._known.update(known)  # noqa: SLF001 - the same
    remember_secrets({})


def test_each_character_that_does_not_print_is_escaped_and_all_others_stay() -> None:
    assert printable(HOSTILE) == r"a\x1b[2Jb\x07c\x9b31md\u202ee\ud800f\r\n\x7f\u2028"
    assert printable("Küche → 居間 😀 light.a") == "Küche → 居間 😀 light.a"
    assert clean_lines("a\nb\r") == "a\nb\\r"


@settings(deadline=None)
@given(ANY_TEXT)
def test_what_is_cleaned_prints_can_be_encoded_and_does_not_change_again(text: str) -> None:
    once = clean(text)
    assert once.isprintable()
    once.encode()
    assert clean(once) == once


@settings(deadline=None)
@given(ANY_JSON)
def test_json_is_read_as_it_was_and_holds_nothing_that_does_not_print(document: Any) -> None:
    text = clean_json(document, are_rows=True)
    assert text.isprintable()
    text.encode()
    assert json.loads(text) == document
    assert clean_json(document, indent=2).replace("\n", "").isprintable()


@settings(deadline=None)
@given(ANY_TEXT)
def test_no_cell_of_a_csv_file_is_a_formula_or_controls_anything(text: str) -> None:
    cell = csv_cell(text)
    assert cell.isprintable()
    assert not cell.startswith(("=", "+", "-", "@"))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_formula_gets_a_leading_quote_mark(text: str) -> None:
    written = io.StringIO()
    csv.writer(written).writerow([csv_cell(text)])
    assert next(csv.reader(io.StringIO(written.getvalue())))[0].startswith("'")


@pytest.mark.parametrize("value", [-1, -1.5, None, "light.kitchen", "", "1-1", "'=1"])
def test_numbers_and_harmless_texts_stay_as_they_are_in_csv(value: Any) -> None:
    assert csv_cell(value) == value


SETTINGS = {
    "source": {"url": "postgresql://ha:p%40ss-of-source@db/ha?password=query-secret"},
    "store": {"token": "home:token-of-the-store", "proxy": "http://me:proxy-pass@127.0.0.1:1", "org": "harmless-org"},
}


SECRETS = (
    "p%40ss-of-source",
    "p@ss-of-source",
    "query-secret",
    "home:token-of-the-store",
    "token-of-the-store",
    "proxy-pass",
)


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_of_the_settings_is_replaced_wherever_it_stands(secret: str) -> None:
    text = f"the server refused {secret}, said {secret}!"
    assert secret in without_secrets(text)
    remember_secrets(SETTINGS)
    assert without_secrets(text) == "the server refused ***, said ***!"
    assert secret not in clean_json({"error": [text, {secret: secret}]})
    assert "harmless-org" in without_secrets("harmless-org")


def test_a_short_secret_is_no_reason_to_hide_words() -> None:
    remember_secrets({"password": "k" * (MIN_SECRET_LENGTH - 1)})
    assert without_secrets("kkkkk") == "kkkkk"
    remember_secrets({"password": "kitchen"})
    assert without_secrets("kitchens, kitchen") == "kitchens, ***"
    remember_secrets({"token": "t" * MIN_LENGTH_WITHIN_WORDS})
    assert without_secrets(f"a{'t' * MIN_LENGTH_WITHIN_WORDS}b") == "a***b"
    remember_secrets({"token": "u" * (MIN_LENGTH_WITHIN_WORDS - 1)})
    assert "u" in without_secrets(f"a{'u' * (MIN_LENGTH_WITHIN_WORDS - 1)}b")


def test_a_stored_value_that_is_printed_as_data_is_never_replaced() -> None:
    remember_secrets({"password": "kitchen"})
    rows = [{"entity_id": "light.kitchen"}]
    assert json.loads(clean_json(rows, are_rows=True)) == rows
