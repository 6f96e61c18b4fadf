"""The stages of the pipeline, one file each, and the command line."""
