"""What a DistilBERT is, said once for both frameworks; nothing here imports either of them."""
