"""Why reports may not be compared: one class and one stable code per rule.

    Incomparable                   incomparable: the reports' fault, safe to show
      NotAccepted                  not-accepted
      NoRecipe                     no-recipe
      MixedSettings                mixed-settings
      DuplicateRun                 duplicate-run
      MixedConfigurations          mixed-configurations
      TooFewRuns                   too-few-runs
      NoVariation                  no-variation

The order above is the order of the checks. A message names the first report that does not fit.
"""

from verifier.data_errors import DataError


class Incomparable(DataError):
    """These reports say nothing about a gain."""

    code = "incomparable"


class NotAccepted(Incomparable):
    """A report has no accepted score."""

    code = "not-accepted"


class NoRecipe(Incomparable):
    """A report does not say with which configuration and seed its artifact was trained."""

    code = "no-recipe"


class MixedSettings(Incomparable):
    """The scores were not measured alike: another validation set, track, windows or arithmetic."""

    code = "mixed-settings"


class DuplicateRun(Incomparable):
    """One run is counted twice."""

    code = "duplicate-run"


class MixedConfigurations(Incomparable):
    """A group holds more than one configuration."""

    code = "mixed-configurations"


class TooFewRuns(Incomparable):
    """A group is too small to say anything about its noise."""

    code = "too-few-runs"


class NoVariation(Incomparable):
    """All losses of both groups are equal, so the seeds did nothing."""

    code = "no-variation"
