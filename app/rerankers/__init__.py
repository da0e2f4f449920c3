"""The Rerankers page: which one is best, on what, and at what price."""
