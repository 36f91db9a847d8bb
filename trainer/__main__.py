"""`python -m trainer` is `seedgolf train`, for torchrun: `torchrun --standalone --nproc-per-node 8 -m trainer ...`."""

from trainer.cli import train

if __name__ == "__main__":
    train(prog_name="seedgolf train")
