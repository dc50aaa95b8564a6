"""HDF5 files that anybody may have made: groups, arrays of numbers and texts of them.

The library of HDF5 can be made to run forever or to follow links out of the file; this reads what
h5py writes for Keras, and nothing else: contiguous arrays, attributes, hard links. Every other
thing is refused by its name. What is read is counted, so that no loop in a file goes on for long.

Names are those of the "HDF5 File Format Specification". All numbers are little-endian.
"""

from fastlstm.formats.hdf5.tree import Node, Tree

__all__ = ["Node", "Tree"]
