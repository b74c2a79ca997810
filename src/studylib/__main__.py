"""`python -m studylib` is the command."""

from studylib.cli import main

if __name__ == "__main__":
    main()
