"""An image that a user gives: read from an archive, a directory or an engine, as layers that any driver can build."""
