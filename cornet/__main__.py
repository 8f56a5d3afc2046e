"""python -m cornet: the `cornet` command."""

from cornet.cli import main

if __name__ == "__main__":
    main()
