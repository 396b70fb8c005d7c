"""What the documentation of Keras promises, as property tests of the Keras that is installed.

    pytest --pyargs keras_repro.properties
    pytest --pyargs keras_repro.properties --keras-repro-known accepted.txt
    pytest --pyargs keras_repro.properties --hypothesis-profile night

A file of accepted bugs has a signature a line, as a failing test prints it; `#` begins a comment.
What is accepted and does not fail any more is named at the end of the run.
"""
