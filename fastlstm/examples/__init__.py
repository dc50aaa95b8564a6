"""Cells of one's own, each a module to run: ``python -m fastlstm.examples.peephole_lstm``."""
