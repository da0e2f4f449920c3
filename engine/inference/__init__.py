"""Models that run in this process: weights prepared once, one copy, one owner."""
