"""Keras's files, read and written with h5py alone: Keras itself is not needed."""
