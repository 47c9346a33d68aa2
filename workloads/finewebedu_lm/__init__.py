"""FineWeb-Edu: educational web pages, a decoder-only language model."""
