"""dtc: recorded speech in, a voice out. The speech library; it knows no command line, no DVC, no folder layout."""

__version__ = "0.1.0"
