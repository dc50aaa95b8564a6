"""A language model of words or characters: train it, measure it, let it write.

python -m fastlstm.examples.language_model                    # Shakespeare, by characters
python -m fastlstm.examples.language_model --data FILE --out run --plot loss.png
python -m fastlstm.examples.language_model --data ptb --preset zaremba-small
python -m fastlstm.examples.language_model --data ptb --preset tied-medium --out run
mpirun -n 2 python -m fastlstm.examples.language_model --threads 1
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, fields, replace

from fastlstm.cli.errors import STOPPED, exit_status
from fastlstm.cli.flags import flag
from fastlstm.cli.parser import ProgramParser
from fastlstm.cli.processes import add_distributed_option, joined
from fastlstm.counts import count_of
from fastlstm.distributed.processes import Processes
from fastlstm.examples.options import (
    add_plot,
    add_test_precision,
    add_threads,
    check_least,
    threaded,
)
from fastlstm.models import LanguageModel, sample
from fastlstm.plotting import new_figure
from fastlstm.printable import say
from fastlstm.runtime import get_num_threads
from fastlstm.text import LanguageData, load_language
from fastlstm.train import Trainer, TrainingInterrupted
from fastlstm.train.curves import draw_loss
from fastlstm.train.language.run import (
    PRESETS,
    LanguageFolder,
    LanguageOptions,
    build_trainer,
)
from fastlstm.train.metrics import perplexity
from fastlstm.train.model_file import save_model
from fastlstm.train.progress import Perplexity
from fastlstm.train.seeds import SAMPLES, generator
from fastlstm.train.tasks.language import evaluate

# What the parts of a run call what an option says, where that is another name.
OPTIONS = {"size": "vocab_size", "decay": "average", "length": "sample"}


def build_parser() -> ProgramParser:
    """Return the parser; training options that are not given do not appear in its result."""
    parser = ProgramParser(
        prog="python -m fastlstm.examples.language_model",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Ctrl-C stops training; what was learnt is measured and kept.",
    )
    add = parser.add_argument
    add("--data", metavar="PATH", help="a text file, or a folder with train, valid and test")
    add("--limit", type=int, metavar="N", help="train on the first N tokens only")
    add("--seed", type=int, default=0, help="the same seed gives the same run")
    add_threads(parser)
    add("--out", metavar="DIR", help="folder for the model, its tokens and the state to resume")
    add("--resume", action="store_true", help="go on with the run in --out")
    add_plot(parser, "the loss")
    add("--sample", type=int, default=300, metavar="N", help="tokens to write (300)")
    add("--temperature", type=float, default=0.8, metavar="X", help="of writing (0.8)")
    add_test_precision(parser)
    add("--prompt", default="", metavar="TEXT", help="what to write on from (a new line)")
    names = ", ".join(PRESETS)
    add("--preset", choices=PRESETS, default="char", metavar="NAME", help=f"{names} (char)")
    add_distributed_option(parser)
    group = parser.add_argument_group("training options, by default those of the preset")
    for item in fields(LanguageOptions):
        typed, about = flag(item.name), {"help": item.metadata["help"]}
        if isinstance(item.default, bool):
            group.add_argument(
                typed, action=argparse.BooleanOptionalAction, default=argparse.SUPPRESS, **about
            )
            continue
        kind, choices = type(item.default), item.metadata["choices"]
        metavar = None if choices else {int: "N", float: "X", str: "N,N"}[kind]
        group.add_argument(
            typed, type=kind, choices=choices, metavar=metavar, default=argparse.SUPPRESS, **about
        )
    return parser


def write(model: LanguageModel, data: LanguageData, given: argparse.Namespace, length: int) -> str:
    """Return the prompt and what the model writes after it."""
    prompt = data.symbols.encode(given.prompt)
    if data.symbols.level == "word" and len(prompt):
        prompt = prompt[:-1]  # without the end of the line
    start = prompt if len(prompt) else data.symbols.encode("\n")
    rng = generator(given.seed, SAMPLES)
    ids = sample(model, length, start, given.temperature, rng, exclude=[0])
    return data.symbols.decode([*prompt, *ids])


def train(
    trainer: Trainer, data: LanguageData, given: argparse.Namespace,
    out: LanguageFolder | None,
) -> int:  # fmt: skip
    """Train from the start, or go on; return the exit status: after Ctrl-C that of its signal."""
    status = 0
    if out and given.resume:
        out.go_on(trainer, data.symbols)
    elif out:
        out.check_free()
        out.begin(data.symbols)
    try:
        parts = (data.train[: given.limit], data.validation)
        trainer.fit(*trainer.task.source(trainer.model, *parts))
    except TrainingInterrupted as interrupt:
        print(f"\n{interrupt}; as far as it has learnt:", flush=True)
        status = STOPPED + interrupt.signal
        if trainer.average:  # its checkpoint, which holds both, is written
            trainer.model.load_state_dict(trainer.average.weights())
    if out and out.writes:
        save_model(out.model, trainer.model)
    return status


@contextmanager
def as_typed(given: argparse.Namespace) -> Iterator[None]:
    """Let an error inside the block that begins with an option name it as the user types it."""
    try:
        yield
    except (TypeError, ValueError) as error:
        first, _, rest = str(error).partition(" ")
        name = OPTIONS.get(first, first)
        if name in vars(given) or name in {item.name for item in fields(LanguageOptions)}:
            raise ValueError(f"{flag(name)} {rest}") from error
        raise


def run(given: argparse.Namespace) -> int:
    """Train, measure, write; the last line is JSON. Several processes share the training."""
    told = {name: value for name, value in vars(given).items() if name != "plot"}  # a path
    with as_typed(given), joined(told.pop("distributed"), told) as processes:
        status = _run(given, processes)
        processes.barrier()  # for the first one, which measures
    return status


def _run(given: argparse.Namespace, processes: Processes) -> int:
    own = {f.name: getattr(given, f.name) for f in fields(LanguageOptions) if f.name in given}
    options = replace(PRESETS[given.preset], **own)
    if given.plot:
        new_figure(1, 1)  # what is missing shows at once
    data = load_language(given.data, level=options.level, size=options.vocab_size)
    processes.agree({"the text": data.checksum})
    out = LanguageFolder(given.out) if given.out else None
    limit = {"limit": given.limit} if given.limit else {}
    trainer = build_trainer(
        options, data, given.seed, state=out.checkpoint if out else None, identity=limit,
        listeners=[Perplexity(every=20)],
    )  # fmt: skip
    model = trainer.model
    parameters = sum(p.data.size for p in model.parameters())
    write(model, data, given, min(given.sample, 0))  # what is wrong with it shows at once
    print(f"{data.source}; {count_of(parameters, 'parameter')}", flush=True)
    with out.locked() if out else nullcontext():
        status = train(trainer, data, given, out)
    if not processes.first:
        return status
    model.set_precision(given.test_precision or options.precision)
    begin, history = time.perf_counter(), trainer.history
    losses = [evaluate(model, part) for part in (data.validation, data.test)]
    figures = {
        "data": data.source, "seed": given.seed, "finished": trainer.finished,
        "epochs": len(history.epochs), "best_epoch": history.best,
        "validation_perplexity": round(perplexity(losses[0]), 2),
        "test_perplexity": round(perplexity(losses[1]), 2), "test_loss": round(losses[1], 4),
        "train_seconds": round(history.seconds, 1),
        "test_seconds": round(time.perf_counter() - begin, 1), "threads": get_num_threads(),
        "test_precision": given.test_precision or options.precision, "options": asdict(options),
    }  # fmt: skip
    if given.plot:
        draw_loss(given.plot, history, f"test perplexity {figures['test_perplexity']}")
    if given.sample:
        say(f"\n{write(model, data, given, given.sample)}\n")
    print(json.dumps(figures))
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status, as `fastlstm` does."""
    parser = build_parser()
    given = parser.parse_args(arguments)
    if given.resume and not given.out:
        parser.error("--resume needs --out, the folder of the run")
    check_least(parser, given, seed=0)
    if given.limit is not None:
        check_least(parser, given, limit=1)
    return exit_status("language_model", lambda: threaded(run, given))


if __name__ == "__main__":
    sys.exit(main())
