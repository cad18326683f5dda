"""Of which code a run is: the commit that began, one state of the code to the end, and a word where either changes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import train
from experiment import folder, provenance
from tests.toy_run import TOY

ROOT = Path(__file__).parent.parent
RANDOM = ["--game", "Catch", "--agent", "random", "--env-steps", "60", "--eval-episodes", "2"]
# Commits a change to eval.py when training is about to begin.
MOVED = """
import pathlib, subprocess
import train
from experiment.command import run
learn = train.Training.learn
def moved(self, *rest):
    pathlib.Path("eval.py").write_text("raise RuntimeError('other code')")
    subprocess.run(["git", "commit", "-qam", "another"], check=True)
    learn(self, *rest)
train.Training.learn = moved
run(train.main)
"""


def git(place: Path, *words: str) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(["git", *words], cwd=place, env=clean, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The code as it is here, as the first commit of a repository of its own."""
    place = tmp_path / "checkout"
    shutil.copytree(ROOT, place, ignore=shutil.ignore_patterns(".*", "*.json", "*.csv", "runs", "docs", "results", "tests"))
    git(place, "init", "-q")
    git(place, "config", "user.name", "a")
    git(place, "config", "user.email", "a@b")
    git(place, "add", ".")
    git(place, "commit", "-qm", "first")
    return place


@pytest.mark.slow
def test_code_that_moves_during_a_run_does_not_play_its_evaluation(checkout: Path, tmp_path: Path) -> None:
    first = git(checkout, "rev-parse", "HEAD")
    argv = [*RANDOM, "--device", "cpu", "--out", str(tmp_path / "runs")]
    told = subprocess.run([sys.executable, "-c", MOVED, *argv], cwd=checkout, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    score = json.loads((tmp_path / "runs/random/Catch/seed0/score.json").read_text())
    assert (score["commit"], score["commit_at_end"]) == (first, git(checkout, "rev-parse", "HEAD"))
    assert f"the code was at commit {first} when this began" in told.stderr


def ask(checkout: Path, **environment: str) -> tuple[str, str]:
    """The commit that the code of `checkout` says it has, and what it says beside."""
    code = "from experiment.provenance import provenance as p; print(p(())['commit'], p(())['commit'])"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=checkout, env=os.environ | environment, capture_output=True, text=True, check=True
    )
    once, twice = found.stdout.split()
    assert once == twice
    return once, found.stderr


def test_the_commit_is_the_codes_own(checkout: Path, tmp_path: Path) -> None:
    """Not that of a repository that is exported, and not unknown because the checkout is another user's, as in a container."""
    first = git(checkout, "rev-parse", "HEAD")
    other = tmp_path / "other"
    git(tmp_path, "init", "-q", str(other))
    git(other, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "other")
    assert ask(checkout, GIT_DIR=str(other / ".git"), GIT_WORK_TREE=str(other)) == (first, "")
    if os.geteuid() == 0:
        for path in (checkout, *checkout.rglob("*")):
            os.chown(path, 1000, 1000)
        # As a user would have it: without settings of this machine's.
        assert ask(checkout, GIT_CONFIG_GLOBAL=os.devnull, HOME=str(tmp_path)) == (first, "")
    (checkout / "eval.py").write_text("")
    assert ask(checkout) == (f"{first}-dirty", "")


def test_a_commit_that_stays_unknown_is_told_once(checkout: Path, tmp_path: Path) -> None:
    shutil.rmtree(checkout / ".git")
    commit, told = ask(checkout)
    assert commit == "unknown"
    assert told.count("\n") == 1
    assert "the commit of the code is unknown (fatal: not a git repository" in told
    commit, told = ask(checkout, PATH=str(tmp_path))
    assert (commit, told) == ("unknown", "note: the commit of the code is unknown (git: No such file or directory)\n")


def test_edited_code_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    line = [*TOY, "--device", "cpu", "--out", str(tmp_path)]
    monkeypatch.setattr(provenance, "_describe", lambda: ("a" * 40, ""))
    provenance._at_start.cache_clear()
    train.main(line)
    assert "finished on" not in capsys.readouterr().err
    train.main(line)
    score = tmp_path / "der/Catch/seed0/score.json"
    assert capsys.readouterr().err.endswith(" at commit aaaaaaaaaa; --fresh runs it again\n")
    os.utime(score, (0, 1_000_000_000))
    monkeypatch.setattr(folder, "commit", lambda: "b" * 40 + "-dirty")
    train.main(line)
    told = capsys.readouterr()
    assert told.err.startswith("finished on 2001-09-0")
    assert told.err.endswith(" at commit aaaaaaaaaa (the code is now bbbbbbbbbb-dirty); --fresh runs it again\n")
    assert "der on Catch: score" in told.out
    score.unlink()
    monkeypatch.setattr(provenance, "_describe", lambda: ("c" * 40, ""))
    provenance._at_start.cache_clear()
    train.main(line)
    assert "note: the run goes on at commit cccccccccc; it was at aaaaaaaaaa until now" in capsys.readouterr().err
    provenance._at_start.cache_clear()


def test_a_checkpoint_starts_no_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    describe = provenance._describe
    monkeypatch.setattr(provenance, "_describe", lambda: started.append(1) or describe())
    train.main([*TOY, "--device", "cpu", "--checkpoint-every", "2", "--out", str(tmp_path)])
    assert len(started) <= 2  # at the start and at the end


def test_a_checkout_that_was_dirty_already_is_told_of_when_it_changes(checkout: Path) -> None:
    (checkout / "eval.py").write_text("")
    code = "import pathlib; from experiment.provenance import commit_at_start, moved; commit_at_start(); print(moved()); "
    code += "pathlib.Path('eval.py').write_text('1'); print(list(moved()))"
    found = subprocess.run([sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True, check=True)
    assert found.stdout == "{}\n['commit_at_end']\n"
    assert found.stderr.endswith("which is what ran; the checkout is now changed\n")


def test_a_score_has_all_commits_of_a_run_that_was_continued(tmp_path: Path) -> None:
    kept = folder.RunFolder(tmp_path)
    kept.begin({}, {"commit": "a"})
    assert kept.commits() == {}
    kept.go_on({}, {"commit": "a"})
    assert kept.commits() == {}
    kept.go_on({}, {"commit": "b"})
    assert kept.commits() == {"commits": ["a", "b"]}


def test_a_command_line_is_kept_as_a_shell_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte that is no UTF-8 would make a config.json that nobody can read, after the whole run."""
    kept = provenance.command_line
    assert kept(["train.py", "--out", "a folder", ""]) == "train.py --out 'a folder' ''"
    assert kept(["train.py", b"\xff".decode(errors="surrogateescape") + ".ü"]) == r"train.py '\xff.ü'"
    monkeypatch.setattr("sys.argv", ["train.py", "--out", "\udcff a"])
    assert provenance.provenance([])["command"] == r"train.py --out '\xff a'"
