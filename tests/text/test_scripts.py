"""Words and characters of many scripts."""

from __future__ import annotations

import sys
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastlstm.text import tokenize, word_classes
from fastlstm.text.tokenizer import RULES, choose_analyzer, normalize_text, split

FAMILY, FLAG = "👨\u200d👩\u200d👧", "🇩🇪"
SCOTLAND = "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"

WORDS = {
    "Hindi": ("किताब और कीमत; हिन्दी में!", ["किताब", "और", "कीमत", "हिन्दी", "में"]),
    "Marathi": ("मराठी भाषेतील पुस्तके.", ["मराठी", "भाषेतील", "पुस्तके"]),
    "Marathi, half letters": ("दर्\u200dया, क\u094d\u200cष", ["दर्\u200dया", "क\u094d\u200cष"]),
    "Bengali": ("বাংলা ভাষা, সুন্দর।", ["বাংলা", "ভাষা", "সুন্দর"]),
    "Telugu": ("తెలుగు సినిమా బాగుంది", ["తెలుగు", "సినిమా", "బాగుంది"]),
    "Tamil": ("தமிழ் மொழி; நன்றி", ["தமிழ்", "மொழி", "நன்றி"]),
    "Thai": ("ดีมาก ที่สุด", ["ดีมาก", "ที่สุด"]),
    "Hebrew with points": ("שָׁלוֹם, עוֹלָם!", ["שָׁלוֹם", "עוֹלָם"]),
    "Arabic with vowels": ("كِتَابٌ، مُحَمَّدٌ؟", ["كِتَابٌ", "مُحَمَّدٌ"]),
    "Persian, no joiner": ("می\u200cخواهم.", ["می\u200cخواهم"]),
    "Latin, decomposed": ("Cafe\u0301 u\u0308ber", ["café", "über"]),
    "Vietnamese": ("Tie\u0302\u0301ng Vie\u0323\u0302t", ["tiếng", "việt"]),
    "Turkish": ("İSTANBUL'da İyi Iğdır", ["istanbul'da", "iyi", "iğdır"]),
    "Turkish, in lower case": ("i\u0307stanbul", ["istanbul"]),
    "Greek": ("ΟΔΟΣ, Σίσυφος", ["οδος", "σίσυφος"]),
    "Cyrillic": ("Ёлка и\u0306", ["ёлка", "й"]),
    "Chinese": ("这个很好，GPT4！", ["这个很好", "gpt4"]),
    "Japanese": ("か\u3099っこう、アニメ", ["がっこう", "アニメ"]),
    "Korean, in parts": ("\u1112\u1161\u11ab\u1100\u1173\u11af 좋아요", ["한글", "좋아요"]),
    "Khmer": ("ភាសាខ្មែរ\u200bល្អ", ["ភាសាខ្មែរ", "ល្អ"]),
    "Myanmar": ("မြန်မာ၊ စာ", ["မြန်မာ", "စာ"]),
    "Tibetan": ("བོད་ཡིག", ["བོད", "ཡིག"]),
    "Amharic": ("ሰላም፣ ዓለም", ["ሰላም", "ዓለም"]),
    "Adlam": ("𞤀𞤣𞤤𞤢𞤥\U0001e946 𞤆𞤵𞤤𞤢𞤪", ["𞤢𞤣𞤤𞤢𞤥\U0001e946", "𞤨𞤵𞤤𞤢𞤪"]),
}


@pytest.mark.parametrize("name", WORDS)
def test_words_of_each_script(name: str) -> None:
    text, words = WORDS[name]
    assert tokenize(text) == words
    for form in ("NFC", "NFD"):
        assert tokenize(unicodedata.normalize(form, text)) == words


def test_two_words_of_hindi_stay_two() -> None:
    assert tokenize("की", "word-1") == tokenize("कि", "word-1") == ["क"]
    assert tokenize("की") != tokenize("कि")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("great😂😂!", ["great", "😂", "😂"]),
        ("I ❤️ it, ❤", ["i", "❤️", "it", "❤"]),
        ("👍🏽👍", ["👍🏽", "👍"]),
        (f"we{FAMILY}are", ["we", FAMILY, "are"]),
        ("🏳️\u200d🌈🏃🏿\u200d♀️", ["🏳️\u200d🌈", "🏃🏿\u200d♀️"]),
        (f"{FLAG}🇫🇷🇩", [FLAG, "🇫🇷", "🇩"]),
        (SCOTLAND, [SCOTLAND]),
        ("10️⃣#️⃣*⃣", ["1", "0️⃣", "#️⃣", "*⃣"]),
        ("Brand™ Brand™️ ©2024", ["brand", "brand", "™️", "2024"]),
        ("★★☆ ☎ 🚬\u20e0 ☺️:-)", ["★", "★", "☆", "☎", "🚬\u20e0", "☺️"]),
        ("😂\u200d😂\u200d", ["😂\u200d😂"]),
        ("😂क 😂\u0301", ["😂", "क", "😂\u0301"]),
    ],
)
def test_emoji_are_words(text: str, words: list[str]) -> None:
    assert tokenize(text) == tokenize(text, "mixed") == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("\u0301 -\u0301a _\u0301", ["a"]),  # marks of what separates
        ("a_\u0301b", ["a", "b"]),
        ("\u200da\u200d \u200c", ["a"]),
        ("a\u200d\u200db\u200d\u0301", ["a\u200d\u200db\u200d\u0301"]),
        ("d\u2019\u00c9t\u00e9 l\u1ffda", ["d'été", "l'a"]),
        ("\u202eabc\u202c \u2066d\u2069\u200fe", ["abc", "d", "e"]),
        ("co\u00adop a\0b é\ufeff", ["co", "op", "a", "b", "é"]),
        ("\ud800\u0301क\udc00ि", ["क"]),
        ("i\u0307\u0307\u0301", ["í"]),
        ("<br />\u0338x é", ["br", "x", "é"]),
        ("\u212b \u212a \u2126", ["å", "k", "ω"]),
        ("３・５ ٣٫٥", ["３", "５", "٣", "٥"]),
    ],
)
def test_words_of_strange_text(text: str, words: list[str]) -> None:
    assert tokenize(text) == words


MIXED = {
    "Chinese": ("GPT4很好，2024年！I'm", ["gpt4", "很", "好", "2024", "年", "i'm"]),
    "Japanese": ("か\u3099くせい10人、スーパー", [*"がくせい", "10", "人", *"スーパー"]),
    "Thai": ("ที่ดี ๒๕ km", ["ที่", "ดี", "๒๕", "km"]),
    "Khmer": ("ភាសា", ["ភា", "សា"]),
    "Myanmar": ("မြန်မာ", ["မြ", "န်", "မာ"]),
    "Lao": ("ພາສາ", [*"ພາສາ"]),
    "variant of a letter": ("葛\U000e0100城", ["葛\U000e0100", "城"]),
    "Hangul and Cyrillic": ("좋은中文Мир", ["좋은", "中", "文", "мир"]),
    "joiners": ("ก\u200dข a\u200dก\u0e31", ["ก", "ข", "a", "กั"]),
    "beyond U+FFFF": ("𠮷野家", [*"𠮷野家"]),
}


@pytest.mark.parametrize("name", MIXED)
def test_scripts_without_spaces_are_cut_into_characters(name: str) -> None:
    text, units = MIXED[name]
    assert tokenize(text, "mixed") == units
    assert tokenize(unicodedata.normalize("NFD", text), "mixed") == units


def test_mixed_are_the_words_of_other_scripts() -> None:
    for text, words in (WORDS[name] for name in ("Hindi", "Arabic with vowels", "Turkish")):
        assert tokenize(text, "mixed") == words


def test_characters() -> None:
    assert tokenize("To be,\n  OR", "char") == list("To be,\n  OR")
    assert tokenize("Cafe\u0301 की", "char") == ["C", "a", "f", "é", " ", "की"]
    assert tokenize(f"{FAMILY}{FLAG}10️⃣", "char") == [FAMILY, FLAG, "1", "0️⃣"]
    assert "".join(tokenize("\0\r\n\u200d \u0301\u202e", "char")) == "\0\r\n\u200d \u0301\u202e"


@pytest.mark.parametrize("analyzer", RULES)
def test_an_unknown_analyzer_is_named(analyzer: str) -> None:
    assert tokenize("a b", analyzer)[0] == "a"
    with pytest.raises(
        ValueError, match="analyzer is 'auto', expected one of 'word', 'char', 'mix"
    ):
        tokenize("a b", "auto")


# Letters, marks, joiners, emoji and their modifiers, half characters: what the rules look at.
ALPHABET = st.sampled_from(
    "aIi\u0130\u0307\u0323\u0301Σσς'\u2019_1٣ <br/>\u00ad\u200b\u200c\u200d\u202e\ufe0f\u20e3#©"
    "कि्ที่中か\u3099\u1112\u1161\u11ab\u0f71\u0f73😂👍🏽❤🇩🇪\ud800\U0001e944\U000e0067Å\u212b\u0345ᾼ"
)
TEXT = st.text(alphabet=ALPHABET) | st.text()


@pytest.mark.parametrize("analyzer", ["word", "mixed", "char"])
@given(TEXT)
def test_normal_forms_are_alike(analyzer: str, text: str) -> None:
    whole = text.encode("utf-8", "replace").decode()
    found = tokenize(text, analyzer)
    for form in ("NFC", "NFD"):
        assert tokenize(unicodedata.normalize(form, whole), analyzer) == found


@pytest.mark.parametrize("analyzer", ["word", "mixed", "word-1"])
@given(TEXT)
def test_cutting_again_changes_nothing(analyzer: str, text: str) -> None:
    once = tokenize(text, analyzer)
    if analyzer != "word-1" or "\u0307" not in text.lower():
        assert tokenize(" ".join(once), analyzer) == once
    assert split(normalize_text(text, analyzer), analyzer) == once


@given(TEXT)
def test_characters_are_the_whole_text(text: str) -> None:
    whole = unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode())
    assert "".join(tokenize(text, "char")) == whole


@given(TEXT)
def test_the_pieces_of_mixed_are_those_of_words(text: str) -> None:
    joiners = str.maketrans("", "", word_classes.JOINERS)
    pieces, words = ("".join(tokenize(text, a)).translate(joiners) for a in ("mixed", "word"))
    assert pieces == words


def old_rule(text: str) -> list[str]:
    """Version 1 as it was."""
    for apostrophe in "\u2019\u00b4":
        text = text.replace(apostrophe, "'")
    words = "".join(c if c.isalnum() or c == "'" else " " for c in text.lower())
    return words.split()


LATIN = st.text(alphabet=st.characters(max_codepoint=0x24F, exclude_characters="\u0130"))
PLAIN = st.text(alphabet=st.characters(categories=("Lu", "Ll", "Nd", "Pd", "Po", "Pe", "Zs", "Cc")))


@given(LATIN | PLAIN)
def test_other_words_are_those_of_version_1(text: str) -> None:
    text = unicodedata.normalize("NFC", text)
    assert tokenize(text, "word-1") == old_rule(text.replace("<br />", " "))
    lowered = unicodedata.normalize("NFC", text.lower())
    if not any(unicodedata.category(c)[0] == "M" for c in lowered + text.lower()):
        assert tokenize(text) == tokenize(text, "word-1")


def test_the_classes_are_those_of_unicode() -> None:
    every = list(map(chr, range(sys.maxunicode + 1)))
    marks = {c for c in every if unicodedata.category(c)[0] == "M"}
    assert set(word_classes._all_marks()) == marks
    assert {c for c in every if unicodedata.combining(c)} <= marks
    assert not any(c.isalnum() for c in marks)


@pytest.mark.parametrize(
    ("texts", "analyzer"),
    [
        ([], "word"),
        (["", "123 !"], "word"),
        (["Plain words", "中文"], "word"),
        (["中文很好", "ok"], "mixed"),
        (["日本語のテキスト", "with some words"], "word"),
        (["ภาษาไทยที่ดี", "123456789012345"], "mixed"),
        (["한국어는 띄어 씁니다", "हिन्दी", "العربية"], "word"),
        (["ab", "中文"], "word"),  # half is no majority
    ],
)
def test_the_analyzer_that_suits_the_texts(texts: list[str], analyzer: str) -> None:
    assert choose_analyzer(texts) == analyzer
    assert choose_analyzer(texts, "char") == "char"


@pytest.mark.parametrize(
    "unit",
    [
        "\u0301\u0323", "\u0f73", "\U0001e944\U0001e94a", "\u200d", "é\u0430", "\u202e",
        "\0é\u0430", "😂\u200d", "Σ", "1\u20e3", "🇩", "i\u0307", "中", "\U0001d400", "\ud800", "कि",
        "\ufe0f",
    ],
)  # fmt: skip
@pytest.mark.parametrize("analyzer", ["word", "mixed", "char"])
def test_long_hostile_text_takes_linear_time(unit: str, analyzer: str) -> None:
    def seconds(size: int) -> float:
        start = time.process_time()
        tokenize("a" + unit * (size // len(unit)), analyzer)
        return time.process_time() - start

    def is_linear() -> bool:
        short, long = min(seconds(4_000) for _ in range(3)), seconds(64_000)
        return long < 16 * 6 * short + 0.02  # a quadratic rule takes 256 times as long

    seconds(100)  # makes the tables
    assert any(is_linear() for _ in range(10)), "not once, which is no matter of a busy machine"
