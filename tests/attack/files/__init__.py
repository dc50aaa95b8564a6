"""Damaged files of every kind that is read, each drawn from a seed."""
