"""How the matching judges: gates in standard deviations, which incomplete hits are made, what counts as doubtful."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchSettings:
    """Gates and choices of the matching; the defaults are those of the daemon.

    The gate on a complete hit is on the joint deviation of all time sums: their common MCP signal makes them
    correlated (variance 6, covariance 4, in jitter squared), so for two layers
    chi2 = (3 r^2 + 3 s^2 - 4 r s) / (10 jitter^2). Other gates are on chi2 of the signals' least-squares fit.
    """

    full_sigma: float = 4.5  # of a complete hit; with more redundancy the gate has the same tail probability
    missing_sigma: float = 3.5  # of a hit whose signals are one more than its unknowns
    mcp_missing_sigma: float = 3.0  # the same without MCP signal, which is easier met by chance
    mcp_missing: bool = True  # make hits without an MCP signal
    end_missing: bool = True  # make hits without one or more line ends
    loss: float = 0.05  # chance that a signal is missing without another one before it within the dead time
    margin: float = 0.5  # log-likelihood by which a hit must beat what could stand in its place
    unexplained: float = 2.0  # log-likelihood that a signal costs which belongs to no ion
    contest: float = 3.0  # log-likelihood within which another combination contests a complete hit
    risky: bool = (
        False  # make hits from three signals, which nothing checks: most are ghosts in crowded pulses
    )

    @property
    def fewest_signals(self) -> int:
        """Signals of which a hit is made."""
        return 3 if self.risky else 4

    @property
    def risky_methods(self) -> tuple[str, ...]:
        """Names of the methods in use whose hits nothing checks, for a run's metadata."""
        return ("three-signals",) if self.risky else ()
