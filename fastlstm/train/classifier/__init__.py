"""Runs of a text classifier: options, data, output folder, and how a finished one is read back.

`config` has the options, `imdb` and `texts` make the data (`text_config`: more options, for texts
of one's own), `classify` trains and tests, `run_folder` says which files there are then and
`loaded_run` reads them back.
"""
