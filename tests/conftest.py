"""What every test runs under: Hypothesis without a clock and without luck.

Its default judges an example by 200 ms of wall clock, which a machine that stalls misses, and draws other examples in
every run. What is drawn here follows from the test's own source; `make fuzz` looks further.
"""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "steady", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("steady")
