"""Run the `cornet` command as python -m cornet."""

from cornet.cli import main

if __name__ == "__main__":
    main()
