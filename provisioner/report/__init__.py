"""One result, shown three ways: read aloud on a terminal, JSON for machines, one HTML page to look at."""
