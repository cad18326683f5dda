"""A run of seconds on the toy game, which many tests begin, continue or damage; the fixture `finished` has one to copy."""

from pathlib import Path

# So small that a checkpoint has 3 MB and an update takes 5 ms: what is tried is the life of a run, not what it learns.
TOY = ["--game", "Catch", "--agent", "der", "--env-steps", "60", "--replay.warmup-steps", "40", "--eval-episodes", "2"]
TOY += ["--replay.batch-size", "4", "--head.hidden", "32"]


def run_folder(out: Path) -> Path:
    """Where TOY's run is kept below `out`."""
    return out / "der" / "Catch" / "seed0"
