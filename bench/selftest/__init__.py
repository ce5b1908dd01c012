"""The self-test of the suite (`bench aa`): how often its verdicts are wrong, and how small a slowdown they find.

`asked`, `stream`, `delay` and `hyperfine` measure and need Linux; the other modules need only the files of a run. A
stream is of one of four kinds:
"""

__all__ = ["DELAY", "DIFFERENT", "EQUAL", "WORK"]

EQUAL = "equal"  # its sides do not differ
DELAY = "delay"  # B is slower by a busy wait
WORK = "work"  # B does more work
DIFFERENT = "different"  # its sides are different arms, measured for a fixed number of pairs
