"""The machine: its description and conditions, packages, work directory, engines, daemons."""
