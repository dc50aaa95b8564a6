"""Calls of the public interface, right ones and hostile ones, each drawn from a seed."""
