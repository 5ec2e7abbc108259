"""``python -m isletsim`` is the command ``isletsim``."""

from isletsim.cli import main

if __name__ == "__main__":
    main()
