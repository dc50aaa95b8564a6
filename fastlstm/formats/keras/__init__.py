"""Keras's files, read by this package alone, and written with h5py; Keras itself is not needed."""
