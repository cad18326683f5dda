"""Scores of single runs as one JSON file an agent, {game: [the score of each run]}: the shape that rliable's data have.

    python -m analysis.export runs results --out exports

reads run folders and the tables of analysis.collect. A score is the raw mean return of an evaluation; the runs of a game stand
in the order of their seeds. Agents with other settings than the catalogue's have files of their own. `analysis.report --per-run
NAME=FILE` reads such a file, and so do other projects' programs.
"""

import hashlib
import json
import re
from collections import defaultdict
from pathlib import Path

from agents.catalogue import TABLES, fill
from analysis.read.folders import find
from analysis.read.load import read_scores
from analysis.read.scores import Protocol, unique
from analysis.request import add_protocol
from experiment.command import UserError, run, say
from experiment.files import write_text, writing
from experiment.outside import add_flag, bring_in
from experiment.parser import Parser, user_path

LONGEST = 200  # bytes of an agent in the name of its file: systems take 255, and a file that is being written has more
Games = dict[str, list[float]]  # by name, in the order of the 26


def file_name(label: str) -> str:
    """The file of the agent `label`, whose flags may hold any character; a hash stands for what is too long."""
    name = re.sub(r"[^\w.-]+", "_", label)
    if len(name.encode()) > LONGEST:
        name = f"{name.encode()[:LONGEST].decode(errors='ignore')}_{hashlib.blake2b(label.encode(), digest_size=8).hexdigest()}"
    return f"{name}.json"


def gather(paths: list[Path], protocol: Protocol) -> dict[str, Games]:
    """The scores of each agent in `paths`, by its name and flags. UserError if there are none, or for what cannot be read."""
    contents = find(paths)
    if contents.note():
        say(contents.note())
    found: dict[str, Games] = defaultdict(lambda: defaultdict(list))
    for score in unique(read_scores(contents, protocol)):
        found[score.label][score.game].append(score.score)
    if not found:
        raise UserError(f"there is no finished run in {', '.join(map(str, paths))}")
    return dict(found)


def main(argv: list[str]) -> None:
    """Write the files, and print a line for each."""
    parser = Parser("analysis.export", __doc__)
    parser.add_argument("paths", nargs="+", type=user_path)
    parser.add_argument("--out", type=user_path, default=Path("exports"), help="the folder of the files")
    add_protocol(parser)
    add_flag(parser)
    asked = parser.parse_args(argv)
    bring_in(asked.imports, TABLES, fill)
    agents = gather(asked.paths, Protocol(asked.env_steps, asked.episodes))
    names = {file_name(label): label for label in agents}
    for label in agents:
        if label != names[file_name(label)]:
            raise UserError(f"{label!r} and {names[file_name(label)]!r} would both be {file_name(label)}; export them apart")
    with writing(asked.out):
        asked.out.mkdir(parents=True, exist_ok=True)
        for name, label in names.items():
            games = agents[label]
            write_text(asked.out / name, json.dumps(games, indent=1) + "\n")
            each = sorted({len(scores) for scores in games.values()})
            print(f"{asked.out / name}: {label}, {len(games)} games, runs of each: {' or '.join(map(str, each))}")


if __name__ == "__main__":
    run(main)
