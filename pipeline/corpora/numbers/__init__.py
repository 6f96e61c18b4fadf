"""The embedded corpus `numbers`: its archive, its grammar, and the script that made it."""
