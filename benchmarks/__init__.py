"""Speed, accuracy and memory next to other packages: run `python -m benchmarks all`."""
