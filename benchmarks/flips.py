"""Flip one bit at a time in what a report is made from, and count what comes of it.

    python -m benchmarks.flips results runs/der/Pong/seed0

As many as --flips in copies of the tables, with and without their checksums, those of the supervised study beside them too, a
quarter of it in each file of a copy of the run; then --pairs of analysis.collect that write to one folder at once. Each flip is
`refused` by one line, gives an `equal` result or one that is `different` without a word, or a `traceback`: in what
analysis.report computes and in what analysis.collect writes, all but the drawing. The same --seed flips the same bits.
"""

import json
import multiprocessing
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from analysis import collect, report
from analysis.collect import unique_runs
from benchmarks.program import flags
from experiment import sums
from experiment.command import UserError
from experiment.command import run as run_program
from experiment.files import read_json, read_table, write_json
from experiment.folder import CONFIG, METRICS, SCORE, RunFolder
from experiment.parser import user_path
from supervised import table


def outcome(use: Callable[[], Any], expected: Any) -> str:
    """What comes of `use`, which should give what is `expected`."""
    try:
        return "equal" if use() == expected else "different"
    except UserError as error:
        return "refused" if "\n" not in str(error) else "traceback"
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return "traceback"


def flipped(files: Sequence[Path], count: int, use: Callable[[], Any], seed: int) -> Counter[str]:
    """The outcomes of `use` after each of `count` flips of a bit, each in a file drawn by its size, and taken back."""
    draw, found, expected = random.Random(seed), Counter[str](), use()
    for path in draw.choices(files, [file.stat().st_size for file in files], k=count):
        before = path.read_bytes()
        after = bytearray(before)
        after[draw.randrange(len(after))] ^= 1 << draw.randrange(8)
        path.write_bytes(after)
        found[outcome(use, expected)] += 1
        path.write_bytes(before)
    return found


def reported(folder: Path, flags: Sequence[str]) -> Any:
    """Every table of a report of `folder`."""
    made = report.compute(report.read_command_line([str(folder), "--incomplete", *flags], None))[0]
    return {name: table.to_csv() for name, table in made.items()}


def collected(runs: Path, out: Path) -> dict[str, bytes]:
    """What collect makes of `runs` and the tables that are in `out`, in a copy of it."""
    with tempfile.TemporaryDirectory() as place:
        there = Path(place) / "out"
        shutil.copytree(out, there) if out.exists() else there.mkdir()
        collect.collect(unique_runs([runs]), there)
        return {path.name: path.read_bytes() for path in sorted(there.iterdir()) if path.is_file()}


def flip_tables(folder: Path, run: Path, count: int, seed: int, flags: Sequence[str] = ()) -> dict[str, Counter[str]]:
    """Outcomes of report and collect after flips in the tables in `folder`; collect adds the finished run folder `run`."""
    files = [*sorted(folder.glob("*.csv")), *folder.glob(sums.FILE)]
    uses = {"report": lambda: reported(folder, flags), "collect": lambda: collected(run, folder)}
    return {what: flipped(files, count, use, seed) for what, use in uses.items()}


def flip_study(folder: Path, count: int, seed: int) -> Counter[str]:
    """Outcomes of the supervised report's tables after flips in what `folder` has of the supervised study."""
    files = [*sorted(folder.glob("*.csv")), folder / sums.FILE]
    return flipped(files, count, lambda: table.read(folder).to_csv(), seed)


def flip_run(run: Path, count: int, seed: int) -> dict[str, Counter[str]]:
    """Outcomes of report and collect after flips in each file of the run folder `run`."""
    score = read_json(run / SCORE)
    flags = ["--games", score["game"], "--env-steps", str(score["env_steps"]), "--episodes", str(score["episodes"])]
    uses = {"report": lambda: reported(run, flags), "collect": lambda: collected(run, run / "no tables")}
    return {
        f"{name}, {what}": flipped([run / name], count, use, seed)
        for name in (CONFIG, SCORE, METRICS)
        for what, use in uses.items()
    }


def copies(run: Path, count: int, place: Path) -> list[Path]:
    """Copies of the run folder `run` with other seeds, each in a folder of its own in `place`."""
    found = [place / f"run{seed}" for seed in range(count)]
    for seed, folder in enumerate(found):
        shutil.copytree(run, folder)
        config, score = read_json(run / CONFIG), read_json(run / SCORE)
        write_json(folder / CONFIG, config | {"settings": config["settings"] | {"seed": seed}})
        RunFolder(folder).write_score(score | {"seed": seed})
    return found


def lost_at_once(folders: Sequence[Path], out: Path) -> int:
    """Collect each of `folders`, of one run each, into `out`, all at once; how many of the runs are lost."""
    with multiprocessing.get_context("fork").Pool(len(folders)) as pool:
        pool.map(collect.main, [[str(folder), "--out", str(out)] for folder in folders], chunksize=1)
    alone = collected(folders[0], out / "no tables")
    names = [name for name in ("scores.csv", "curves.csv") if alone[name].count(b"\n") > 1]  # a short run has no curve
    seeds = ({row["seed"] for row, _ in read_table(out / name, ["seed"]).rows} for name in names)
    return len(folders) - min(map(len, seeds))


def flip_everything(tables: Path, run: Path, count: int, seed: int) -> dict[str, Counter[str]]:
    """Outcomes after flips in `tables` with and without checksums, those of the study beside them, and the run folder `run`."""
    found = {f"tables, {what}": n for what, n in flip_tables(tables, run, count, seed).items()}
    if (tables / "supervised" / table.TASKS).exists():
        found["supervised tables"] = flip_study(tables / "supervised", count, seed)
    for path in tables.rglob(sums.FILE):
        path.unlink()
    found |= {f"tables without {sums.FILE}, {what}": n for what, n in flip_tables(tables, run, count, seed).items()}
    return found | flip_run(run, count // 4, seed)


def main(argv: list[str]) -> None:
    """Count, and print."""
    parser = flags("flips", __doc__, flips=240, pairs=40, seed=0)
    parser.add_argument("tables", type=user_path, help="a folder that analysis.collect wrote")
    parser.add_argument("run", type=user_path, help="the folder of a finished run")
    asked = parser.parse_args(argv)
    for path in (asked.tables / "scores.csv", asked.run / SCORE):
        if not path.is_file():
            raise UserError(f"there is no {path}")
    with tempfile.TemporaryDirectory() as text:
        place = Path(text)
        tables, run = (shutil.copytree(folder, place / name) for name, folder in (("tables", asked.tables), ("run", asked.run)))
        for what, outcomes in flip_everything(tables, run, asked.flips, asked.seed).items():
            print(f"{what}: {json.dumps(dict(outcomes))}", flush=True)
        runs = copies(asked.run, 2, place / "runs")
        lost = sum(lost_at_once(runs, place / f"out{i}") for i in range(asked.pairs))
        print(f"{asked.pairs} pairs of collects at once: {lost} runs lost")


if __name__ == "__main__":
    run_program(main)
