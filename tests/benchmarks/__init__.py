"""How fast the study is and what it costs: `make bench` runs all of it and prints one table.

Speed is a ratio of things timed in turns in one run, so that it means something on a machine that
is doing other work. Each module has `measure() -> list[Row]`.
"""
