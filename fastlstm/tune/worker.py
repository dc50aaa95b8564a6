"""A process that makes trials of a study: ``python -m fastlstm.tune.worker FOLDER THREADS``.

The numbers of its trials come on the standard input, and it answers with a line of JSON for each.
When the input ends it stops: a trial in work is saved first. So nothing is left to train when the
process that started it is gone.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import Any

from fastlstm.cli.errors import FAILED, STOPPED, one_line, warnings_told
from fastlstm.train.interrupt import termination_raises
from fastlstm.tune.folder import TuneFolder
from fastlstm.tune.shared import CONTENTS
from fastlstm.tune.storage import opened
from fastlstm.tune.trial import work


class Inbox:
    """The numbers that come; at the end of the input the main thread is asked to stop.

    A number that it has not begun with by then is left out.
    """

    def __init__(self, file: Any) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._lock, self._busy, self._ended = threading.Lock(), False, False
        self.reader = threading.Thread(target=self._read, args=[file], daemon=True)
        self.reader.start()

    def __iter__(self) -> Iterator[int]:
        while True:
            line = self._lines.get()
            with self._lock:
                if line is None or self._ended:
                    return
                self._busy = True
            yield int(line)
            with self._lock:
                self._busy = False

    def _read(self, file: Any) -> None:
        for line in file:
            self._lines.put(line)
        with self._lock:
            self._ended = True
            if self._busy:
                _ask_to_stop()
        self._lines.put(None)


def _ask_to_stop() -> None:
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        signal.pthread_kill(main, signal.SIGTERM)  # wakes it even where it waits
    else:
        signal.raise_signal(signal.SIGTERM)


def main(arguments: list[str] | None = None) -> int:
    """Make the trials that are asked for; return the exit status."""
    path, threads = sys.argv[1:] if arguments is None else arguments
    answers = sys.stdout

    def answer(**told: Any) -> None:
        answers.write(json.dumps(told) + "\n")
        answers.flush()

    folder = TuneFolder(path)
    try:
        with warnings_told(), termination_raises(), open(os.devnull, "w") as nowhere:
            plan, told, _ = folder.read()
            shared = plan.subject.shared(told.get(CONTENTS))
            with redirect_stdout(nowhere), opened(folder.database, plan) as study:
                answer(ready=True)
                for number in Inbox(sys.stdin):
                    work(study, number, plan, folder, shared, int(threads))
                    answer(done=number)
        return 0
    except KeyboardInterrupt:
        return STOPPED + signal.SIGTERM
    except Exception as error:
        if os.environ.get("FASTLSTM_DEBUG"):
            raise
        answer(error=one_line(error))
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
