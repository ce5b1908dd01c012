"""Statistics: estimates, fits and decisions on arrays, and a module that applies them to the frames of a run."""
