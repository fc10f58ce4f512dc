"""`python -m admin_sync`."""

from admin_sync.cli import main

if __name__ == "__main__":
    main()
