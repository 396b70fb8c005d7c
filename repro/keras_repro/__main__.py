"""`python -m keras_repro` is `keras-repro`."""

from keras_repro.cli import main

if __name__ == "__main__":
    main()
