"""`python -m connector.cli`."""

from connector.cli.app import main

main()
