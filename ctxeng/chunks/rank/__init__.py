"""How relevant each chunk is to a question, also through other chunks."""
