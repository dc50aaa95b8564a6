"""Dates as people write them to ISO dates, letter by letter: "May 3rd, 1990" -> "1990-05-03".

An encoder-decoder with attention, trained on generated dates and tested on days it never saw::

    python -m fastlstm.examples.dates --date "the third of may nineteen ninety"
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from datetime import date

import numpy as np

from fastlstm.cli.errors import exit_status
from fastlstm.cli.parser import ProgramParser
from fastlstm.examples.options import add_precision, add_threads, check_least, threaded
from fastlstm.printable import say
from fastlstm.text.pairs import Pair
from fastlstm.train.progress import Progress
from fastlstm.train.seeds import DATA, generator
from fastlstm.train.seq2seq import learn

FIRST, LAST = date(1900, 1, 1), date(2049, 12, 31)
TEST_DAYS = 1000
ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth "
    "thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
).split()
MONTHS = (
    "january february march april may june july august september october november december"
).split()
WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()


def number(n: int) -> str:
    """Return 0 to 99 in words."""
    if n < 20:
        return ONES[n]
    return TENS[n // 10 - 2] + (f"-{ONES[n % 10]}" if n % 10 else "")


def ordinal(n: int) -> str:
    """Return the 1st to the 31st in words."""
    if n <= 20:
        return ORDINALS[n - 1]
    return "thirtieth" if n == 30 else f"{TENS[n // 10 - 2]}-{ORDINALS[n % 10 - 1]}"


def year_in_words(year: int) -> str:
    """Return a year of 1900 to 2099 as it is said."""
    century, rest = divmod(year, 100)
    if 2000 <= year < 2010:
        return "two thousand" + (f" and {ONES[rest]}" if rest else "")
    if rest < 10:
        return f"{number(century)} {f'oh {ONES[rest]}' if rest else 'hundred'}"
    return f"{number(century)} {number(rest)}"


def written(day: date, rng: np.random.Generator) -> str:
    """Write a date in one of many ways."""
    month, weekday = MONTHS[day.month - 1], WEEKDAYS[day.weekday()]
    ending = {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10 if day.day // 10 != 1 else 0, "th")
    year, short = f"{day.year}", month[:3]
    ways = (
        f"the {ordinal(day.day)} of {month} {year_in_words(day.year)}",
        f"{month} the {ordinal(day.day)}, {year_in_words(day.year)}",
        f"the {ordinal(day.day)} of {month} {year}",
        f"{month} {day.day}{ending}, {year}",
        f"{weekday} {day.day} {month} {year}",
        f"{weekday}, {short} {day.day}, {year}",
        f"{day.day}{ending} {short} {year}",
        f"{day.day}.{day.month}.{year}",
        f"{year} {month} {day.day}",
    )
    text = ways[rng.integers(len(ways))]
    return text if rng.random() < 0.5 else " ".join(map(str.capitalize, text.split()))


def draw(days: Sequence[date], count: int, rng: np.random.Generator) -> list[Pair]:
    """Return pairs of letters: dates of some of the days, and what they are in ISO 8601."""
    chosen = [days[i] for i in rng.integers(len(days), size=count)]
    return [(list(written(day, rng)), list(day.isoformat())) for day in chosen]


def run(options: argparse.Namespace) -> None:
    """Train, test and print."""
    rng = generator(options.seed, DATA)
    order = rng.permutation(LAST.toordinal() - FIRST.toordinal() + 1)
    days = [date.fromordinal(FIRST.toordinal() + int(i)) for i in order]
    train = draw(days[TEST_DAYS:], options.pairs, rng)
    test = [pair for day in days[:TEST_DAYS] for pair in draw([day], 1, rng)]
    model_options = {
        "embedding_dim": 32, "hidden_size": options.hidden_size,
        "attention": not options.no_attention,
    }  # fmt: skip
    start = time.perf_counter()
    translator = learn(
        train, [], model_options, epochs=options.epochs, batch_size=64, lr=5e-3,
        seed=options.seed, precision=options.precision, listeners=[Progress(bar=False)],
    )  # fmt: skip
    seconds = time.perf_counter() - start
    translator.model.set_precision(options.test_precision or options.precision)
    read = translator([source for source, _ in test], beam_size=1, max_length=12)
    right = [answer == target for answer, (_, target) in zip(read, test, strict=True)]
    shown = [source for source, _ in test[:8]] + [list(text) for text in options.date]
    print("\nOn days that it never saw:")
    for source, answer in zip(shown, translator(shown, beam_size=1, max_length=12), strict=True):
        say(f"  {''.join(source):45} {''.join(answer)}")
    figures = {
        "exact": sum(right) / len(right),
        "test_dates": len(test),
        "train_dates": len(train),
        "train_seconds": round(seconds, 2),
        "attention": not options.no_attention,
        "seed": options.seed,
    }
    print(json.dumps(figures))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example; return the exit status."""
    name = "python -m fastlstm.examples.dates"
    parser = ProgramParser(name, description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--pairs", type=int, default=20000, help="dates to train on (default: 20000)")
    add("--epochs", type=int, default=3)
    add("--hidden-size", type=int, default=128, help="units of each side (default: 128)")
    add("--no-attention", action="store_true", help="the encoder's last state alone")
    add("--seed", type=int, default=0)
    add_precision(parser)
    add_threads(parser)
    add("--date", action="append", default=[], metavar="TEXT", help="a date to read afterwards")
    options = parser.parse_args(arguments)
    check_least(parser, options, seed=0)
    return exit_status("dates", lambda: threaded(run, options))


if __name__ == "__main__":
    raise SystemExit(main())
