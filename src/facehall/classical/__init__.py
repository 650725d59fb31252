"""Super-resolution without neural networks: learnt dictionaries, forests, self-similarity."""
