"""Files of any kind: opened, read, locked, and written whole or not at all."""
