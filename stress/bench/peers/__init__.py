"""The peers: each is a folder whose ``__main__`` passes a Queue to the bench.

All of them run at the defaults of their documentation, or as it advises for throughput. Where
that leaves a choice, the docstring of the folder says what was chosen and why.
"""
