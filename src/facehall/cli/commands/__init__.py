"""The sub-commands of ``facehall``, one file each: see `facehall.cli.parser.Command`."""
