"""Train an agent on a game: act, step the lanes, learn, remember, reset; then evaluate it.

    python train.py --game Pong --agent spr_ht
    python train.py --help                    the flags of every day
    python train.py --agent der --help-all    every flag, with the agent's own values
    python train.py --agent help              every agent

The same command continues a run that was interrupted, to the bit.
"""

import experiment.interrupt  # noqa: F401  the first of all imports: it answers Ctrl-C within the others

# isort: split
from experiment.command import run
from options import Run, main

if __name__ == "__main__":
    run(main)  # reads the command line; where there is something to train, it imports this file, and torch with it

import time
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.agent import Agent
from agents.engine import Captured, check_execution, configure, settle
from agents.execution import Execution
from agents.measures import measure
from agents.schedules import updates_due
from envs.lanes import SIDE, Step
from envs.make import make_lanes
from eval import evaluate, film, summary
from experiment.command import say, user_errors
from experiment.past import Past
from experiment.progress import Progress
from experiment.session import Session
from replay.batch import Rule, Window
from replay.buffer import ReplayBuffer
from replay.stack import FrameStack
from replay.upload import Upload, file_row_

LONGEST_FILM = 4_500  # env steps that the film for a viewer shows at most


class Training:
    """What a run trains: the lanes, the agent, its memory."""

    def __init__(self, asked: Run, device: torch.device) -> None:
        """UserError if the game's ROM is absent, or if the device cannot do what is asked."""
        c, updates = asked.config, updates_due(asked.config, asked.env_steps)
        with user_errors():
            settled = settle(asked.execution, device, updates)
            check_execution(settled, device)
            self.lanes = make_lanes(asked.game, asked.num_lanes, asked.seed)
        self.close = self.lanes.close
        if settled not in (asked.execution, Execution()):
            say(f"note: computes in {settled.precision}{', compiled' * settled.compiled}{', captured' * settled.captured}")
        self.asked = asked = replace(asked, execution=settled)
        configure(settled, device)
        self.agent = Agent(c, self.lanes.num_actions, device=device, seed=asked.seed, execution=settled, planned=updates)
        window, rule = Window(c.target.n_max, c.jumps), Rule(c.replay.alpha, c.replay.new_rows)
        least = window.steps_needed * asked.num_lanes  # all that an agent needs which does not learn
        rows = least if c.optimizer is None else min(c.replay.capacity, max(asked.env_steps, least))
        self.replay = ReplayBuffer(rows, asked.num_lanes, window, rule, device=device, seed=asked.seed)
        self.upload = Upload(asked.num_lanes, SIDE, device)
        self.stack = FrameStack(asked.num_lanes, SIDE, device)
        file_row = partial(self.agent.prepare(file_row_), self.replay, self.stack, self.upload.row)
        self._file_row = Captured(file_row) if settled.captured else file_row
        self.past = Past(asked.env_steps // asked.num_lanes, asked.num_lanes)
        self.time = 0  # env steps done, over all lanes
        self.returns: list[float] = []  # of the games finished since metrics were last written
        self.stack.push_(self.lanes.reset(), np.ones(asked.num_lanes, bool))

    def learn(self, session: Session) -> None:
        """The loop; it saves and ends early if it has to stop. DivergenceError if a loss is not finite."""
        asked, agent, lanes, metrics = self.asked, self.agent, self.lanes, session.metrics
        progress = Progress(asked.title, asked.env_steps, "env steps", self.time, paced=not asked.warming_up(self.time))
        for env_step in range(self.time, asked.env_steps, asked.num_lanes):
            after = env_step + asked.num_lanes
            agent.anneal_(env_step)
            action = agent.act(self.stack.frames).numpy(force=True)
            lanes.send(action)
            # While the emulators run, the agent learns from all rows before this one; it is measured first, not behind a reset.
            if asked.due(asked.measure_every, after) and agent.updates:
                session.require_finite()
                metrics.log("plasticity", after, measure(agent, self.replay, after, asked.hessian_rounds))
            for _ in range(updates_due(asked.config, after) - agent.updates):
                agent.update(self.replay)
            step = lanes.recv()
            self.remember(action, step)
            for episode in step.finished:
                self.returns.append(episode.score)
                metrics.log("episode", after, {"return": episode.score, "length": episode.length, "lane": episode.lane})
            progress.advance(asked.num_lanes)
            if asked.warming_up(env_step) and not asked.warming_up(after):
                progress.restart_clock()
            last, stopping = after == asked.env_steps, session.stopping
            if last or asked.due(asked.log_every, after):
                self._log(session, progress)
            if last or stopping or asked.due(asked.checkpoint_every, after):
                session.save()
            if stopping:
                break
        progress.close()

    def remember(self, action: np.ndarray, step: Step) -> None:
        """Keep the env step that `action`, int64 [L], was taken in."""
        terminal = step.life_lost | step.game_over
        self.upload(step.frame, action, step.reward.clip(-1, 1), terminal, step.truncated)
        self._file_row()
        self.past.add(action, step.frame, step.reward, terminal, step.truncated)
        self.time += len(action)

    def _log(self, session: Session, progress: Progress) -> None:
        """One row of metrics, and the line that a person sees."""
        session.require_finite()
        agent = self.agent
        means = {"return": sum(self.returns) / len(self.returns)} if self.returns else {}
        means |= agent.metrics()
        counts = {"update": agent.updates, "resets": agent.resets, "epsilon": agent.epsilon, "episodes": len(self.returns)}
        clock = {"seconds": round(session.seconds, 2), "env_steps_per_second": round(progress.speed, 2)}
        session.metrics.log("train", self.time, {**counts, **means, "clock": clock})
        progress.note(means)
        self.returns.clear()

    def diverged(self) -> tuple[str, int] | None:
        """The first loss that was not finite, and its update; None if there was none."""
        update = self.agent.broken()
        return None if update is None else (f"the loss of update {update}", update)

    def score(self, session: Session) -> dict[str, Any] | None:
        """Play the evaluation that is asked for; its score."""
        asked, began = self.asked, time.monotonic()
        if not asked.eval_episodes:
            return None
        result = summary(evaluate(self.agent, asked.game, asked.eval_episodes, asked.seed), asked.game)
        session.metrics.log("evaluation", asked.env_steps, {"score": result["score"], "hns": result["hns"]})
        return {
            **{name: getattr(asked, name) for name in ("agent", "game", "seed", "env_steps")},
            **result,
            "played_by": "tortoise" if asked.config.tortoise.acts else "hare",
            "evaluation_hours": round((time.monotonic() - began) / 3600, 4),
        }

    def film(self, path: Path) -> None:
        """Film a game, or its first five minutes. UserError if that fails."""
        film(self.agent, self.asked.game, self.asked.seed, path, LONGEST_FILM)

    def state_dict(self) -> dict[str, Any]:
        """All that the rest of the run depends on. The emulators and the rows of the replay are made again from the actions."""
        return {
            "env_step": self.time,
            "agent": self.agent.state_dict(),
            "replay": self.replay.state_dict(),
            "past": self.past.state_dict(),
            "returns": list(self.returns),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what a checkpoint holds. UserError if games do not repeat."""
        self.agent.load_state_dict(state["agent"])
        self.returns = state["returns"]
        if state["env_step"] == self.asked.env_steps:  # nothing more will be learnt
            self.time = state["env_step"]
            return
        self._play_again(state["past"]["actions"].numpy().astype(np.int64))
        self.past.require(state["past"]["hash"], state["versions"]["ale-py"], version("ale-py"))
        if self.asked.config.optimizer is not None:  # nothing else draws from it
            self.replay.load_state_dict(state["replay"])

    def _play_again(self, actions: np.ndarray) -> None:
        """Play `actions`, int64 [time, L], again: emulators, frames and hash come to be what they were."""
        progress = Progress("playing again", len(actions), "env steps")
        self.lanes.send(actions[0])
        for action, following in zip(actions, [*actions[1:], None], strict=True):
            step = self.lanes.recv()
            if following is not None:
                self.lanes.send(following)  # the emulators run while this env step is remembered
            self.remember(action, step)
            progress.advance(1)
            if self.past.time % 20_000 == 0:
                progress.note({})
        progress.close()
