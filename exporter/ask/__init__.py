"""One place for answers: a question becomes a Query, a Query becomes an Answer with evidence."""
