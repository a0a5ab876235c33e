"""The definition of a DistilBERT, shared by both frameworks; nothing here imports either."""
