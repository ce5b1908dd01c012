"""The questions, one file each. A module here that defines SCENARIO is found by its presence."""
