"""The pitfall list, given to us and to every rival that is installed.

Each trap is a small story told in terms that every library can be asked for: calls that
succeed, fail, hang, are cancelled; time that passes. `python -m benchmarks.traps` tells
each story to each library and prints who was caught in which.
"""
