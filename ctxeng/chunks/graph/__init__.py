"""Graph retrieval: entities, the statements that join them, and the part of them that a question needs."""
