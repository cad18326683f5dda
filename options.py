"""The command line of train.py as a frozen value. No torch here, so help and mistakes are answered at once."""

import dataclasses
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from agents.catalogue import AGENTS, TABLES, fill, find_agent, help_text, parts
from agents.config import AgentConfig
from agents.execution import AUTO, Execution
from agents.schedules import updates_due
from envs.games import GAMES, find_game
from experiment import outside
from experiment.command import UserError, parse, peek, say, user_errors
from experiment.files import shown
from experiment.help import answer
from experiment.on_wandb import Mode, usual_mode, usual_project
from experiment.outside import Imports, asked_for, bring_in, hint, used
from experiment.start import say_next, start
from flags import GUIDE, lacking
from hare_tortoise.idle import idle
from hare_tortoise.ranges import Range, Seed, check, require

# What is counted in env steps, games or rounds: to a thousand times the benchmark, twice 200 million frames.
Counted = Annotated[int, Range("[0, 100_000_000]")]
CountedFrom1 = Annotated[int, Range("[1, 100_000_000]")]
TAG = re.compile(r"[A-Za-z0-9]+([._-][A-Za-z0-9]+)*")  # no + and nothing that a shell or a file system takes apart
LONGEST_TAG = 60
PACKAGES = ("torch", "ale-py", "gymnasium", "numpy")  # that a score depends on


@dataclass(frozen=True)
class Run:
    """Train one agent on one game, evaluate it, and keep everything in OUT/AGENT[+TAG]/GAME/seedN."""

    game: str = "Pong"
    """one of the 26 games, or Catch, a toy"""
    agent: str = "spr_ht"
    """a name of the catalogue; `help` prints them all"""
    seed: Seed = 0
    """decides weights, draws and the emulators' no-ops"""
    env_steps: Counted = 100_000
    """decisions of the agent, 4 frames each"""
    num_lanes: Annotated[int, Range("[1, 1_024]")] = 1
    """games played side by side, which share the env steps"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where to learn; auto takes CUDA if there is any"""
    out: Path = Path("runs")
    """where run folders are kept"""
    name: Annotated[str, tyro.conf.arg(metavar="TAG")] = ""
    """keeps a variant of the agent apart, in OUT/AGENT+TAG"""
    eval_episodes: Counted = 100
    """games at the end, whose mean return is the score"""
    wandb: Mode = dataclasses.field(default_factory=usual_mode)
    """mirror the metrics to Weights & Biases"""
    wandb_project: str = dataclasses.field(default_factory=usual_project)
    """the project there; WANDB_PROJECT, and WANDB_MODE for --wandb, stand for what is not given"""
    tensorboard: bool = False
    """write event files for TensorBoard to the run folder"""
    log_every: CountedFrom1 = 1_000
    """env steps between two rows of metrics"""
    checkpoint_every: CountedFrom1 = 10_000
    """env steps between two checkpoints"""
    measure_every: Counted = 1_000
    """env steps between two measurements of plasticity; 0 for none"""
    hessian_rounds: Counted = 5
    """products for the Hessian's top eigenvalue in a measurement, as costly as an update each; 0 leaves it out"""
    execution: Execution = AUTO
    fresh: bool = False
    """start over; deletes what the folder holds"""
    imports: Imports = ()
    config: Annotated[AgentConfig, tyro.conf.arg(name="")] = AGENTS["spr_ht"]

    def __post_init__(self) -> None:
        """ValueError, naming the flag, if a value is out of its range."""
        replay = self.config.replay
        check(self)
        require(
            not self.name or (TAG.fullmatch(self.name) and len(self.name) <= LONGEST_TAG),
            f"--name must be letters and digits with single . _ - between them, at most {LONGEST_TAG}, not {shown(self.name)}",
        )
        require(
            self.env_steps % self.num_lanes == 0,
            f"--env-steps must divide into --num-lanes, not {self.env_steps} into {self.num_lanes}",
        )
        if self.config.optimizer is not None:
            require(
                replay.warmup_steps < self.env_steps,
                f"--replay.warmup-steps must be less than --env-steps, not {replay.warmup_steps} of {self.env_steps}",
            )
            first = (self.config.reach + 5) * self.num_lanes  # a window with its stack, in each lane
            require(replay.warmup_steps >= first, f"--replay.warmup-steps must be at least {first} for such windows")
            rows = self.config.steps_needed * self.num_lanes
            require(replay.capacity >= rows, f"--replay.capacity must be at least {rows} for such windows")
        planned = updates_due(self.config, self.env_steps)
        if self.config.optimizer is not None:
            require(planned >= 1, f"--replay.ratio {replay.ratio:g} makes no update in {self.env_steps} env steps")
        if self.config.injection is not None:
            at = self.config.injection.at
            require(at < planned, f"--injection.at {at} never comes in a run of {planned} updates: halfway is {planned // 2}")

    clock = "env_step"  # by which metrics are counted
    apart = "--name TAG keeps both"  # where a folder holds another run

    def idle(self) -> list[str]:
        """A line for each planned change of weights that never comes because the run is too short."""
        planned = updates_due(self.config, self.env_steps)
        return idle(self.config.plans(planned), planned)

    def warming_up(self, env_step: int) -> bool:
        """Whether, after `env_step` env steps, updates have not begun but will."""
        return self.config.optimizer is not None and env_step < self.config.replay.warmup_steps

    def due(self, every: int, env_step: int) -> bool:
        """Whether what is done `every` env steps (never, if that is 0) is due after `env_step` of them."""
        return every > 0 and env_step % every < self.num_lanes

    @property
    def variant(self) -> str:
        """The agent, and what its variant is called."""
        return f"{self.agent}+{self.name}" if self.name else self.agent

    @property
    def title(self) -> str:
        """What a person calls this run."""
        return f"{self.variant} {self.game} seed {self.seed}"

    @property
    def folder(self) -> Path:
        """Where this run is kept."""
        return self.out / self.variant / self.game / f"seed{self.seed}"

    def going_on(self, settings: dict[str, Any]) -> "Run":
        """The same where it goes on with a run that was begun with `settings`: what is auto is as it was chosen there."""
        begun = self.renewed(settings)["execution"]
        chosen = {name: begun[name] for name, value in dataclasses.asdict(self.execution).items() if value == "auto"}
        return dataclasses.replace(self, execution=dataclasses.replace(self.execution, **chosen))

    @staticmethod
    def renewed(values: dict[str, Any]) -> dict[str, Any]:
        """Settings as `values`; a run from before there were other ways than the plain one was made in that."""
        return values | {"execution": dataclasses.asdict(Execution()) | values.get("execution", {})}

    def identity(self) -> dict[str, Any]:
        """All that the result depends on, as plain values; what a run folder is recognised by."""
        names = ("agent", "game", "seed", "env_steps", "num_lanes", "eval_episodes")
        base, methods = parts(self.agent)
        imports = used([base, *methods])
        return {
            **{name: getattr(self, name) for name in names},
            **({"name": self.name} if self.name else {}),
            **({"imports": imports} if imports else {}),
            "execution": dataclasses.asdict(self.execution),
            "config": dataclasses.asdict(self.config),
        }

    def mirror(self) -> dict[str, Any]:
        """How Weights & Biases shows the run: the seeds of a sweep side by side."""
        group, (base, methods) = f"{self.variant}-{self.game}", parts(self.agent)
        tags = [base, *methods, self.game, *([self.name] if self.name else [])]
        return {"project": self.wandb_project, "group": group, "name": f"{group}-seed{self.seed}", "tags": tags}

    def outcome(self, score: dict[str, Any] | None) -> str:
        """The last line of a run with this `score`, None if it was not evaluated."""
        result = "trained, not evaluated"
        if score is not None:
            result = f"score {score['score']:,.1f}, hns {find_game(self.game).normalised(score['score']):.3f}"
        return f"{self.variant} on {self.game}: {result} ({self.folder})"

    def following(self, scored: bool) -> dict[str, list[str]]:
        """What can be typed when the run has ended, with a score or without, by what it does."""
        imports = outside.flags(self.imports)
        protocol = {"--env-steps": (self.env_steps, Run.env_steps), "--episodes": (self.eval_episodes, Run.eval_episodes)}
        other = [word for flag, (ours, usual) in protocol.items() if ours != usual for word in (flag, str(ours))]
        other += [] if self.game in GAMES else ["--games", self.game]
        film = ["python", "eval.py", str(self.folder), "--episodes", "0", "--video", "film.mp4", *imports]
        report = ["python", "-m", "analysis.report", str(self.out), "--incomplete", *other, *imports]
        return {"film it": film, **({"compare": report} if scored else {})}


def main(argv: Sequence[str]) -> None:
    """Train as the command line `argv` asks for: python train.py."""
    asked = read_command_line(argv)
    score = start(asked, "train", PACKAGES)
    say_next(**asked.following(score is not None))


def fix_workspaces() -> None:
    """Let cuBLAS have workspaces of a fixed size, without which it may add in another order; read when CUDA is loaded."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def read_command_line(argv: Sequence[str]) -> Run:
    """The run that `argv` asks for, in two passes: modules and agent decide what the other flags are. Raises UserError."""
    bring_in(asked_for(argv), TABLES, fill)
    names = peek(argv, agent=Run.agent, out=str(Run.out))
    agent = names["agent"]
    if agent == "help":
        print(help_text())
        raise SystemExit(0)
    try:
        config = find_agent(agent)
    except ValueError as error:
        raise UserError(f"{error}{hint(Path(names['out']), agent)}") from error
    fix_workspaces()
    default = Run(agent=agent, config=config)
    answer(argv, default, GUIDE)
    asked = parse(Run, argv, default, lambda flag: lacking(flag, agent, config))
    with user_errors():
        asked = dataclasses.replace(asked, game=find_game(asked.game).name)
    for line in asked.idle():
        say(f"note: {line}")
    return asked
