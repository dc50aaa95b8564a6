"""The attack on the package: hostile calls, files, kills and full disks, in numbers and by seed.

``make attack`` runs all of it, ``make attack ARGS=--quick`` a minute of each kind. It is no part of
the test suite, which only tests its machinery: see `attack.__main__` for how it is used.
"""
