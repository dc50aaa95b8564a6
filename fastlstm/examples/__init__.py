"""Small programs, each a module to run: ``python -m fastlstm.examples.toy``."""
