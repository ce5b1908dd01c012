"""What does a container layer cost? The engine: rooms from host (left) to report (right)."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.2.0"
