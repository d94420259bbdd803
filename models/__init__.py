"""Recommenders and what measures them: tensors in, tensors out.

Nothing here opens a file, a socket or a clock, and nothing touches a global seed. Items are numbered
0 … N-1 in the order of their ids; a history is an array of those numbers, oldest first.
"""
