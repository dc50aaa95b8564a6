"""Find where somebody speaks: a voice detector, from its ONNX file, on a WAV file of 16 kHz.

    python -m fastlstm.examples.voice MODEL.onnx [SOUND.wav]

The model is one of the public 16 kHz architecture: a short-time Fourier transform as a convolution,
four more convolutions, an LSTM of 128 units, a sigmoid. Its weights are not ours to ship: `pip
download --no-deps silero-vad` fetches a package that has them (unzip it). Without a WAV file the
detector listens to a sound made of noise and of vowels. All of the model runs as one chain
(`fastlstm.nn.Chain`), a frame of 32 ms after the other, or the whole file in one call.
"""

from __future__ import annotations

import argparse
import json
import os
import wave
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastlstm.cli.errors import UsageError, exit_status
from fastlstm.cli.parser import ProgramParser
from fastlstm.counts import count_of
from fastlstm.examples.options import add_plot, add_threads, check_least, threaded
from fastlstm.examples.voice_model import FRAME, read_detector
from fastlstm.files.naming import named_path
from fastlstm.files.opening import open_file
from fastlstm.plotting import HIGH, LOW, QUIET, new_figure, plain_axes, save_png

Array = NDArray[Any]
RATE = 16000
SECONDS = 8.0  # of the sound made here
QUIETER = 0.15  # below the threshold speech must fall to end
SILENCE, SPEECH = 0.1, 0.25  # seconds: shorter ones are no pause, and no speech
# The sound made here: resonances of vowels in Hz, when phrases begin, and how long they are.
VOWELS = (
    (730, 1090, 2440), (530, 1840, 2480), (270, 2290, 3010), (570, 840, 2410), (300, 870, 2240),
)  # fmt: skip
PHRASES = ((1.0, 6), (3.4, 7), (6.0, 5))
SYLLABLE = 0.22  # seconds


class Segment(NamedTuple):
    """A stretch of speech, in seconds."""

    start: float
    end: float


def read_wav(path: Path) -> Array:
    """Return the samples of a WAV file in -1..1, channels averaged; float32.

    Raises
    ------
    OSError, ValueError
        If there is no such file, it is no WAV file of whole numbers, or its rate is not 16 kHz.
    """
    with open_file(path) as raw:
        size = os.fstat(raw.fileno()).st_size
        try:
            with wave.open(raw) as file:
                channels, width, rate, frames, *_ = file.getparams()
                if frames * channels * width > size:
                    raise ValueError(
                        f"{path}: claims {count_of(frames, 'sample')}, more than are in the file"
                    )
                data = file.readframes(frames)
        except (wave.Error, EOFError) as error:
            raise ValueError(f"{path}: no WAV file of whole numbers ({error})") from None
    if rate != RATE:
        raise ValueError(f"{path}: has {rate} samples a second, expected {RATE}")
    if len(data) < channels * width:
        raise ValueError(f"{path}: has no samples")
    return _samples(data[: len(data) // (channels * width) * channels * width], channels, width)


def _samples(data: bytes, channels: int, width: int) -> Array:
    if width == 1:  # these have no sign
        values = np.frombuffer(data, np.uint8).astype(np.float64) - 128
    else:  # little end first, moved up to 32 bits
        places = np.zeros((len(data) // width, 4), np.uint8)
        places[:, 4 - width :] = np.frombuffer(data, np.uint8).reshape(-1, width)
        values = places.view("<i4")[:, 0].astype(np.float64) / 2.0 ** (8 * (4 - width))
    values /= 2.0 ** (8 * width - 1)
    samples: Array = values.reshape(-1, channels).mean(axis=1).astype(np.float32)
    return samples


def make_sound(seed: int) -> Array:
    """Return some seconds of quiet noise in which three phrases of vowels are spoken."""
    rng, n = np.random.default_rng(seed), int(SECONDS * RATE)
    sound = 0.002 * rng.standard_normal(n)
    for start, syllables in PHRASES:
        for i in range(syllables):
            spoken = _syllable(rng, pitch=1 - 0.25 * i / syllables)
            at = int((start + i * SYLLABLE) * RATE)
            sound[at : at + len(spoken)] += spoken
    return sound.astype(np.float32)


def _syllable(rng: np.random.Generator, pitch: float) -> Array:
    """A hiss, then a vowel: what vocal cords make, through the resonances of one."""
    t = np.arange(int(SYLLABLE * RATE)) / RATE
    formants = np.array(VOWELS[rng.integers(len(VOWELS))]) * rng.uniform(0.95, 1.05)
    bend = 1 + 0.06 * np.sin(2 * np.pi * 3 * t + rng.uniform(0, 6)) - 0.1 * t / SYLLABLE
    phase = 2 * np.pi * np.cumsum(125 * pitch * bend) / RATE
    voiced = np.zeros(len(t))
    for k in range(1, 36):
        near = 1 / (1 + ((125 * pitch * k - formants) / 70) ** 2)
        voiced += (0.02 + near @ (1, 0.6, 0.3)) / k**0.4 * np.sin(k * phase)
    rise = np.clip((t - 0.04) / 0.03, 0, 1) * np.clip((SYLLABLE - t) / 0.05, 0, 1)
    hiss = np.diff(rng.standard_normal(len(t) + 1)) * np.clip(1 - np.abs(t - 0.03) / 0.03, 0, 1)
    return 0.2 * rise * voiced + 0.02 * hiss


def segments(speech: Array, threshold: float) -> list[Segment]:
    """Return where the probabilities [frames] tell of speech.

    It begins at the threshold, and ends where they stay well below it for longer than a pause.
    """
    seconds, found = FRAME / RATE, []
    start = pause = -1
    for i, p in enumerate([*speech, *[0.0] * round(SILENCE / seconds + 1)]):
        if p >= threshold:
            start, pause = (i if start < 0 else start), -1
        elif start >= 0 and p < threshold - QUIETER:
            pause = i if pause < 0 else pause
            if (i + 1 - pause) * seconds > SILENCE:
                found.append(Segment(start * seconds, pause * seconds))
                start = pause = -1
    return [s for s in found if s.end - s.start >= SPEECH]


def draw(path: Path, sound: Array, speech: Array, found: list[Segment], threshold: float) -> None:
    """Write a PNG: the sound, and below it the probabilities, with the segments behind both."""
    figure = new_figure(9, 4)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 2])
    upper.plot(np.arange(len(sound)) / RATE, sound, color=QUIET, linewidth=0.4)
    upper.set_title("sound, and where somebody speaks", loc="left", fontsize=11)
    # a frame's probability holds as long as the frame
    edges = np.arange(len(speech) + 1) * FRAME / RATE
    lower.stairs(speech, edges, color=HIGH, linewidth=1.2)
    lower.axhline(threshold, color=QUIET, linewidth=0.8, linestyle=":")
    lower.set_ylim(-0.03, 1.03)
    lower.set_ylabel("probability")
    lower.set_xlabel("seconds")
    for axes in (upper, lower):
        plain_axes(axes)
        axes.set_xlim(0, edges[-1])
        for segment in found:
            axes.axvspan(*segment, color=LOW, alpha=0.18, linewidth=0)
    save_png(path, figure)


def _probability(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text}, expected a number between 0 and 1")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the example; return the exit status."""
    parser = ProgramParser(
        prog="python -m fastlstm.examples.voice",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add, path = parser.add_argument, named_path
    add("model", nargs="?", type=path, metavar="MODEL.onnx", help="the detector")
    add("sound", nargs="?", type=path, metavar="SOUND.wav", help="what it hears")
    parser.add_argument(
        "--threshold", type=_probability, default=0.5, help="probability of speech (default: 0.5)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the sound made without a file")
    add_plot(parser, "sound and speech")
    add_threads(parser, default=1)
    options = parser.parse_args(arguments)
    check_least(parser, options, seed=0)
    return exit_status("voice", lambda: threaded(run, options))


def run(options: argparse.Namespace) -> None:
    """Print where somebody speaks, and draw it if asked to; the last line printed is JSON."""
    if options.model is None:
        raise UsageError(
            "no model was given, expected the ONNX file of a 16 kHz voice detector: `pip download "
            "--no-deps silero-vad` fetches a package with silero_vad.onnx"
        )
    if options.plot:
        new_figure(1, 1)  # without matplotlib this says so, before the work
    chain = read_detector(options.model)
    sound = read_wav(options.sound) if options.sound else make_sound(options.seed)
    frames = np.pad(sound, (0, -len(sound) % FRAME)).reshape(-1, FRAME)

    stream, made, taken = chain.stream(), [], []
    for frame in frames:
        start = perf_counter()
        p = stream(frame)
        taken.append(perf_counter() - start)
        made.append(p.item())
    speech = chain(frames.ravel())[:, 0]  # the whole sound in one call: the same numbers
    if made != speech.tolist():
        raise AssertionError("frame by frame other numbers came than in one call")

    found = segments(speech, options.threshold)
    for segment in found:
        print(f"{segment.start:8.2f} s to {segment.end:8.2f} s")
    print(f"segments: {len(found)}; {1e6 * np.median(taken):.1f} us for a frame of 32 ms")
    if options.plot:
        draw(options.plot, sound, speech, found, options.threshold)
    result = {
        "seconds": len(sound) / RATE,
        "segments": [[round(s.start, 3), round(s.end, 3)] for s in found],
        "figure": str(options.plot or ""),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    raise SystemExit(main())
