"""The parts of the load test (benchmarks/load.py): corpus, servers, users, watching, report."""
