"""Scores of predicted classes (`scores`, `confusion`) and of translations (`bleu`)."""
