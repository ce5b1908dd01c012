"""The suite's test of itself (`bench aa`): how often its verdicts are wrong, and how small a slowdown they find.

`asked`, `stream`, `delay` and `hyperfine` measure and need Linux; the others read what was measured and need only the
run's files. A stream is of one of four kinds:
"""

__all__ = ["DELAY", "DIFFERENT", "EQUAL", "WORK"]

EQUAL = "equal"  # its sides do not differ
DELAY = "delay"  # B is slower by a busy wait
WORK = "work"  # B does more work
DIFFERENT = "different"  # its sides are different arms, of which so many pairs are wanted
