"""``python -m i2codec``."""

from i2codec.cli.main import main

if __name__ == "__main__":
    main()
