"""`python -m siteferry` is the same as the command `siteferry`."""

from siteferry.cli import main

if __name__ == "__main__":
    main()
