"""The negative control: the stand-in, but it commits before its records have ended, as auto-commit would."""

from tests.e2e.stand_in import main

if __name__ == "__main__":
    main(commit_first=True)
