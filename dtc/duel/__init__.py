"""The people's judge: listeners hear clips of a voice and of its speaker, and say which is the human."""
