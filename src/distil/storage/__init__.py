"""Bytes, file formats and the hub.  Knows no DistilBERT and no framework."""
