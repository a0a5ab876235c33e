"""What is there only so that code written for transformers or Keras runs.

Nothing in distil needs this room: take it away, and models, losses and checkpoints are the same.
It stands apart so that the model is read without it.  A file here completes the file of the same
name in `distil.common`, as a base class or by functions; what needs a framework is in
`distil.pt.compatibility` and `distil.tf.compatibility`.

A name means here what it means in transformers 4.57, or it is refused by name.
"""
