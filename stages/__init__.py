"""One file a stage, and the command line over them."""
