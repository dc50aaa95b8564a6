"""Runs of a text classifier.

`config` and `text_config` have the options, `imdb` and `texts` load the data, `classify` trains
and tests, `run_folder` names the files of a run and `loaded_run` reads them.
"""
