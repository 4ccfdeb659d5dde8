"""Planted bugs: each defence of the checkout is taken away in turn, and the tests must notice.

`make mutants` (`python -m tests.campaigns.mutants`) plants them one at a time in a private copy of the tree, never
in the tree
itself, and prints which test caught which.
"""
