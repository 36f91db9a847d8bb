"""TensorBoard as a listener; an extra (`pip install seedgolf[tensorboard]`), imported only when it is asked for."""

from pathlib import Path

from trainer.errors import ConfigError
from trainer.metrics import StepMetrics, ValidationMetrics

try:
    from torch.utils.tensorboard import SummaryWriter
except ImportError:
    raise ConfigError("--tensorboard: the package is not installed; run pip install 'seedgolf[tensorboard]'") from None


class TensorBoard:
    """Writes event files: train/loss, val/bpb, val/loss, tokens_per_second, mfu, over steps."""

    def __init__(self, directory: Path) -> None:
        self._writer = SummaryWriter(log_dir=str(directory))

    def on_step(self, metrics: StepMetrics) -> None:
        """Write one point of every curve of training."""
        points = {
            "train/loss": metrics.train_loss,
            "train/lr_factor": metrics.lr_factor,
            "speed/tokens_per_second": metrics.tokens_per_second,
            "speed/mfu": metrics.mfu,
        }
        for name, value in points.items():
            if value is not None:
                self._writer.add_scalar(name, value, metrics.step)

    def on_validation(self, metrics: ValidationMetrics) -> None:
        """Write one point of every curve of validation."""
        self._writer.add_scalar("val/bpb", metrics.val_bpb, metrics.step)
        self._writer.add_scalar("val/loss", metrics.val_loss, metrics.step)

    def on_scoring(self, what: str, done: int, total: int) -> None:
        """How far a score is, is no curve."""

    def note(self, text: str) -> None:
        """Notes stand in the log; curves have no place for them."""

    def close(self) -> None:
        """Flush and close."""
        self._writer.close()
