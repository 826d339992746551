"""Roadworthy carries an AI use case from pilot to production.

The whole in one sentence: a gate is a pure function of evidence, signatures and an instant; everything else either
produces evidence, stores it, or shows it.

Importing this package loads nothing but itself. What is public to other packages stands in ``roadworthy.kit``; the
command line and the packs are public to everybody.
"""

__version__ = "0.1.0"
