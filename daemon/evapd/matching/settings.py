"""How the matching judges; the settings themselves are a section of the rig file."""

from evapd.config.model import Matching


class MatchSettings(Matching):
    """Gates and choices of the matching; the defaults are those of the daemon.

    The gate on a complete hit is on the joint deviation of all time sums: their common MCP signal makes them
    correlated (variance 6, covariance 4, in jitter squared), so for two layers
    chi2 = (3 r^2 + 3 s^2 - 4 r s) / (10 jitter^2). Other gates are on chi2 of the signals' least-squares fit; with more
    redundancy they have the same tail probability.
    """

    @property
    def fewest_signals(self) -> int:
        """Signals of which a hit is made."""
        return 3 if self.risky else 4

    @property
    def risky_methods(self) -> tuple[str, ...]:
        """Names of the methods in use whose hits nothing checks, for a run's metadata."""
        return ("three-signals",) if self.risky else ()
