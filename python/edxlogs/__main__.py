"""The program `edxlogs`, also run by `python -m edxlogs`."""

import os


def main() -> None:
    """Run the command, and exit with its status."""
    try:
        from edxlogs.stops import put_off

        with put_off():
            from edxlogs import cli
    except KeyboardInterrupt:
        os.write(2, b"interrupted: nothing was published\n")
        os._exit(130)
    cli.main()


if __name__ == "__main__":
    main()
