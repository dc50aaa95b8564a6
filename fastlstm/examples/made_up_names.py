"""Made-up surnames in the manner of 18 languages, where there are no real ones at hand.

A name is a beginning, up to two syllables and an ending of its language: enough for a program to
have something to learn, nothing to learn languages from. As in real collections some languages have
many names and some have few, and neighbours share endings.
"""

from __future__ import annotations

import numpy as np

# Language: how many names, beginnings, syllables, endings.
PARTS: dict[str, tuple[int, str, str, str]] = {
    "Arabic": (100, "Ab Bish Ha Kha Ma Na Qur Sa Sha Ta", "a da hi mou ra ssa", "bi dad har if oun"),
    "Chinese": (120, "Ch F G H L M Q Sh W X Y Zh", "", "ai an ang ao ei en eng ian iu ong ou u"),
    "Czech": (200, "B Bl Dv Hol Kr Mas Nov Pro Sed Vav", "a e o or in", "ak cek ek ka ky ova sky"),
    "Dutch": (120, "Van Ver De B Haa Kl Meij Roo Sch", "aa e oo ij er", "berg dijk kker man ns ven"),
    "English": (900, "Ash Bar Brad Car Har Hol Mil Nor Wal", "er in le ing", "by ford ham ley son ton well"),
    "French": (120, "Bea Cha De Du Fra Gau La Mo Pe", "be lan mi ro thi", "ault eau et ier ois on uc"),
    "German": (250, "Bau Fisch Gra Hoff Kra Lan Schn Wei", "e en ei in", "bach berg er ger mann stein"),
    "Greek": (100, "Ana Chri Dimi Geo Kala Niko Papa Theo", "do ki sto tri", "akis as elis opoulos os"),
    "Irish": (110, "O'B O'C O'D O'M Mc Fla Ga Kea Ma", "a ea lla na", "gan han lly ne ney rty"),
    "Italian": (250, "Bar Bel Ca Co Fer Gia Lo Ma Ro Vi", "la mi ra ri to", "cci elli etti ini one oni"),
    "Japanese": (330, "A Fu Ha I Ka Ki Ma Mo Na Sa Ta Ya", "ka ki ma na shi su ya", "da guchi mura moto ra ta yama"),
    "Korean": (80, "B Ch H J K M N P R S Y", "", "ae ang eo eong i im o on oo u un"),
    "Polish": (110, "B Cz Dab Jan Kow Maj Now Sz Wal Wo", "al ar en o", "czak czyk ewski owicz ski"),
    "Portuguese": (80, "Al Ca Cos Fer Gon Mar Per Sil Vi", "ca de nan ra", "ares eiro es eira ta va"),
    "Russian": (1300, "A Ba Ch Do Gor Kar Kuz Mal Pav Sok Zh", "ba le mi no ri sta vo", "enko ev in kin ov sky"),
    "Scottish": (90, "Mac Mc Camp Doug Fer Gra Hamil Mor", "a do le ri", "bell gus lan ld ness son ton"),
    "Spanish": (130, "Al Cas Do Fer Gar Her Lo Mar Ro", "ca de nan ri", "cia eros ez illa oza uez"),
    "Vietnamese": (80, "D H L Ng Ngh Nh Ph Qu T Th Tr V", "", "am an ang inh o oan u ung uyen"),
}  # fmt: skip


def make_names() -> dict[str, list[str]]:
    """Return the names of each language: distinct, sorted and always the same."""
    rng = np.random.default_rng(0)
    made = {}
    for language, (count, *parts) in PARTS.items():
        beginnings, syllables, endings = (part.split() for part in parts)
        names: set[str] = set()
        while len(names) < count:
            middle = rng.choice(syllables, rng.integers(3)) if syllables else []
            names.add("".join([rng.choice(beginnings), *middle, rng.choice(endings)]))
        made[language] = sorted(names)
    return made
