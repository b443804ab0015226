"""Orders to sites: who may be asked for what, the journal, and the dispatcher that carries out."""
