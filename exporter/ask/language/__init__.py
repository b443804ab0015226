"""Plain language to Query, by a lexicon and a grammar: no network, no model, no guessing."""
