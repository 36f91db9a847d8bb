"""How a batch is cut for the processes at hand: which worlds fit a config, and how many micro-batches a step takes."""

from trainer.config import Config
from trainer.errors import ConfigError
from trainer.shards import BatchShape
from trainer.world import World


def batch_shape(config: Config, world: World) -> BatchShape:
    """The largest micro-batch that is at most `micro_batch_tokens` and divides this process's share of the batch.

    Raises:
        ConfigError: the number of processes does not divide the windows of a batch.
    """
    seq_len = config.model.seq_len
    windows = config.batch.train_batch_tokens // seq_len
    if windows % world.world_size:
        fitting = [n for n in range(1, min(windows, 2 * world.world_size) + 1) if windows % n == 0]
        raise ConfigError(
            f"{world.world_size} processes cannot share the {windows} windows of a batch equally (train_batch_tokens / "
            f"seq_len); start {' or '.join(map(str, fitting[-2:]))}, or change --set batch.train_batch_tokens=..."
        )
    own = windows // world.world_size
    most = max(1, config.batch.micro_batch_tokens // seq_len)
    batch_windows = next(size for size in range(min(own, most), 0, -1) if own % size == 0)
    return BatchShape(
        seq_len=seq_len,
        batch_windows=batch_windows,
        grad_accum_steps=own // batch_windows,
        rank=world.rank,
        world_size=world.world_size,
    )
