"""What can go wrong in a training run and is not the data's fault: one class and one stable code per kind.

    TrainerError                   trainer-error
      ConfigError                  config-error: a preset, file or --set that is no configuration; nothing was started
      RunFolderError               run-folder-error: the run folder cannot take this run; nothing was started
      BadCheckpoint                bad-checkpoint: the checkpoint is no checkpoint of this run
      NonFiniteLoss                non-finite-loss: training diverged
      RebuildMismatch              rebuild-mismatch: the packed file does not score what its claims say

Each message is one or two lines: what is wrong, and the next step.
"""

from typing import ClassVar


class TrainerError(Exception):
    """A run that cannot start or go on; `code` is stable, the message is for people."""

    code: ClassVar[str] = "trainer-error"


class ConfigError(TrainerError):
    """The configuration is refused."""

    code = "config-error"


class RunFolderError(TrainerError):
    """The run folder cannot take this run."""

    code = "run-folder-error"


class BadCheckpoint(TrainerError):
    """The checkpoint is damaged or belongs to another configuration."""

    code = "bad-checkpoint"


class NonFiniteLoss(TrainerError):
    """The loss became NaN or infinite."""

    code = "non-finite-loss"


class RebuildMismatch(TrainerError):
    """A fresh process that read only the packed file scored something else than the run claims."""

    code = "rebuild-mismatch"
