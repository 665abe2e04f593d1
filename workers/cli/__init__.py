"""The command line: `wardstream COMMAND`. Reads arguments, calls the part that does the work, explains errors."""


def main() -> None:
    """Entry point of the console command.

    The commands load here and not with the package: other parts use its modules, and they it.
    """
    from workers.cli.app import main as run

    run()
