"""`python -m workers` is the console command `wardstream`."""

from workers.cli import main

if __name__ == "__main__":
    main()
