"""The command `fastlstm`, also as ``python -m fastlstm``."""

import sys

from fastlstm.cli import main

if __name__ == "__main__":
    sys.exit(main())
