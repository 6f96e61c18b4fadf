"""One trainer for every model: exact when resumed, its state on disk, its losses in a logbook."""
