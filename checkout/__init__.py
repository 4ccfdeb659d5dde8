"""The shared vocabulary: contracts, errors, identifiers, settings and the Temporal connection.

Imports nothing else of ours, so that everything else may import it.
"""
