"""The framing of ``.i2`` files: head, sections, checksums, limits. Standard library only."""
