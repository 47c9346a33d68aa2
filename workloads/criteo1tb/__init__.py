"""Criteo 1TB click logs: will this advertisement be clicked?  DLRM with one large table."""
