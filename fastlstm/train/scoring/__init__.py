"""How good predictions are: of classes (`scores`, `confusion`) and of translations (`bleu`)."""
