"""Our own texts on Keycloak's login pages, in every language that those pages speak."""

from __future__ import annotations

import re
import unicodedata

import pytest
import yaml
from login_texts import MESSAGES, REALM, RESOURCES, file_of, spoken, texts

ENGLISH = texts("en")
NAME = "TradePulse"
"""It stands as it is in every script."""

SCRIPTS = {
    "ar": "ARABIC",
    "el": "GREEK",
    "fa": "ARABIC",
    "hy": "ARMENIAN",
    "ja": ("HIRAGANA", "KATAKANA", "CJK"),
    "ka": "GEORGIAN",
    "kk": "CYRILLIC",
    "ko": "HANGUL",
    "ky": "CYRILLIC",
    "ru": "CYRILLIC",
    "th": "THAI",
    "uk": "CYRILLIC",
    "zh-CN": "CJK",
    "zh-TW": "CJK",
}
"""How the names of the letters begin with which a language is written, where those are not Latin."""


def test_every_language_of_the_realm_has_a_file_and_no_file_is_for_another() -> None:
    assert {file.name for file in MESSAGES.iterdir()} == {file_of(tag).name for tag in spoken()}


def test_every_text_that_is_there_is_shown_and_every_text_that_is_shown_is_there() -> None:
    sources = [
        *(REALM / "extension" / "src" / "main" / "java").rglob("*.java"),
        *RESOURCES.rglob("*.ftl"),
        *(REALM / "theme").rglob("*.ftl"),
    ]
    shown = {key for file in sources for key in re.findall(r'"(tradepulse[A-Z]\w*)"', file.read_text("utf-8"))}
    assert shown == {key for key in ENGLISH if re.fullmatch(r"tradepulse[A-Z]\w*", key)}


def test_a_required_action_of_ours_has_a_name_for_mails_and_for_the_page_that_they_lead_to() -> None:
    actions = yaml.safe_load((REALM / "base" / "required_actions.yaml").read_text("utf-8"))["required_actions"]
    ours = {f"requiredAction.{action}" for action in actions if action.startswith("tradepulse-")}
    assert ours
    assert ours == {key for key in ENGLISH if key.startswith("requiredAction.")}


@pytest.mark.parametrize("tag", spoken())
def test_a_language_has_every_text_in_the_order_of_the_english_ones(tag: str) -> None:
    assert list(texts(tag)) == list(ENGLISH)


@pytest.mark.parametrize("tag", spoken())
def test_a_text_survives_the_formatting_that_keycloak_does(tag: str) -> None:
    for key, text in texts(tag).items():
        where = f"{key} in {tag}"
        assert text, f"{where} is empty"
        assert text.strip() == text, f"{where} has blanks around it"
        # MessageFormat takes one as the beginning of something literal, and swallows it with the placeholders after it.
        assert "'" not in text, f"{where} has an apostrophe of a typewriter where U+2019 belongs"
        assert "\\" not in text, f"{where} has an escape, and the files are UTF-8"
        assert "$" not in text, f"{where} would be taken for a reference to another text"
        assert not set(text) & set('<>&"'), f"{where} has what HTML would read"
        placeholders = sorted(re.findall(r"\{\d\}", text))
        assert placeholders == sorted(re.findall(r"\{\d\}", ENGLISH[key])), f"{where} has other placeholders"
        assert text.count("{") == text.count("}") == len(placeholders), f"{where} has a brace too many"
        assert unicodedata.is_normalized("NFC", text), f"{where} has letters in parts"
        odd = [one for one in text if unicodedata.category(one) in {"Cc", "Cn", "Co", "Cs"} or one == "\ufffd"]
        assert not odd, f"{where} has characters that show nothing: {odd!r}"


@pytest.mark.parametrize("tag", [tag for tag in spoken() if tag != "en"])
def test_a_text_is_translated_and_keeps_the_name(tag: str) -> None:
    for key, text in texts(tag).items():
        assert text != ENGLISH[key] or key.startswith("locale_"), f"{key} in {tag} is the English one"
        assert (NAME in text) == (NAME in ENGLISH[key]), f"{key} in {tag} has lost or won the name"


@pytest.mark.parametrize("tag", SCRIPTS)
def test_a_text_is_in_the_script_of_its_language(tag: str) -> None:
    for key, text in texts(tag).items():
        if not key.startswith("locale_"):
            own = [unicodedata.name(one).startswith(SCRIPTS[tag]) for one in text if one.isalpha()]
            assert sum(own) > len(own) / 2, f"{key} in {tag}"


@pytest.mark.parametrize("tag", spoken())
def test_one_thing_has_one_name_and_two_things_have_two(tag: str) -> None:
    """An emergency code is asked for under the name under which it is offered."""
    ours = texts(tag)
    assert ours["tradepulseBypassTitle"] == ours["tradepulse-mfa-bypass-display-name"]
    assert len(set(ours.values())) == len(ours) - 1
