"""The sub-commands of ``facehall``, a file each: see `facehall.cli.parser.Command`."""
