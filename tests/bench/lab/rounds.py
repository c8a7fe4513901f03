"""How often a measurement is repeated: twice, and again while the figures of a subject lie apart."""
import statistics

from peers.process import Failed

LEAST = 2
# How much the CPU time of two rounds may differ, as a share of the smaller figure.
SPREAD = 0.1


def repeat(names, most, measure, say):
    """Calls `measure(name, turn)` for each name, round after round, so that what changes on the machine meets all of them alike. The
    medians by name, with the number of rounds as "rounds"."""
    found = {name: [] for name in names}
    for turn in range(most):
        if turn >= LEAST and _settled(found):
            break
        for name in names:
            try:
                figures = measure(name, turn)
            except Failed as failure:
                # A failed measurement is repeated once, to save the rows measured before. A second failure
                # ends the run.
                say(f"round {turn + 1} {name}: {failure}; again")
                figures = measure(name, turn)
            found[name].append(figures)
            say(f"round {turn + 1} {name}: {figures['cpu'] * 100:.2f} % of a core per stream")
    return {name: _median(rounds) for name, rounds in found.items()}


def _settled(found):
    return all(max(costs) <= min(costs) * (1 + SPREAD) for costs in ([f["cpu"] for f in rounds] for rounds in found.values()))


def _median(rounds):
    names = {name for figures in rounds for name in figures}
    medians = {name: statistics.median(figures[name] for figures in rounds if name in figures) for name in sorted(names)}
    return {**medians, "rounds": len(rounds)}
