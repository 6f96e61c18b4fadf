"""The data plane: from where a voice comes from, to training batches."""
