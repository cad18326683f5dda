"""Train an agent on a game: act, step the lanes, learn, remember, reset; then evaluate it.

    python train.py --game Pong --agent spr_ht
    python train.py --agent der --help        every flag with the agent's own values
    python train.py --agent help              every agent

torch is imported only once the command line has been read and found good.
"""

import time
from typing import Any

import numpy as np

from agents.schedules import updates_due
from envs.lanes import SIDE
from envs.make import make_lanes
from experiment.command import UserError, run
from experiment.folder import CHECKPOINT, METRICS, SCORE, RunFolder, commit, provenance
from experiment.metrics import Metrics, Progress
from options import Run, read_command_line


class Training:
    """A run under way: the lanes, the agent, its memory, and what is written down."""

    def __init__(self, asked: Run, folder: RunFolder) -> None:
        """UserError if the device or the game's ROM is absent."""
        from agents.agent import Agent  # from here on torch is loaded
        from experiment.device import choose_device, device_name, keep_freed_memory
        from replay.batch import Window
        from replay.buffer import ReplayBuffer
        from replay.stack import FrameStack

        keep_freed_memory()
        c = asked.config
        device = choose_device(asked.device)
        try:
            self.lanes = make_lanes(asked.game, asked.num_lanes, asked.seed)
        except ValueError as error:
            raise UserError(str(error)) from error
        self.asked, self.folder, self.device = asked, folder, device_name(device)
        self.agent = Agent(c, self.lanes.num_actions, device=device, seed=asked.seed)
        window = Window(c.target.n_max, c.jumps)
        rows = min(c.replay.capacity, max(asked.env_steps, (window.horizon + 5) * asked.num_lanes))
        self.replay = ReplayBuffer(rows, asked.num_lanes, window, c.replay.alpha, device=device, seed=asked.seed)
        self.stack = FrameStack(asked.num_lanes, SIDE, device)
        self.returns: list[float] = []  # of the games finished since metrics were last written
        self.started = time.monotonic()

    def learn(self, metrics: Metrics) -> None:
        """The loop. UserError, code 1, if a loss is not finite."""
        asked, agent, lanes, replay, stack = self.asked, self.agent, self.lanes, self.replay, self.stack
        progress = Progress(f"{asked.agent} {asked.game} seed {asked.seed}", asked.env_steps, "env steps")
        stack.push_(lanes.reset(), np.ones(asked.num_lanes, bool))
        for env_step in range(0, asked.env_steps, asked.num_lanes):  # this many are done
            after = env_step + asked.num_lanes
            agent.anneal_(env_step)
            action = agent.act(stack.frames).numpy(force=True)
            lanes.send(action)
            # While the emulators run, the agent learns from all rows before this one.
            for _ in range(updates_due(asked.config, after) - agent.updates):
                agent.update(replay)
            step = lanes.recv()
            terminal = step.life_lost | step.game_over
            replay.append(stack.newest, action, step.reward.clip(-1, 1), terminal, step.truncated)
            stack.push_(step.frame, terminal | step.truncated)
            for episode in step.finished:
                self.returns.append(episode.score)
                metrics.log("episode", after, {"return": episode.score, "length": episode.length, "lane": episode.lane})
            progress.advance(asked.num_lanes)
            if env_step < asked.config.replay.warmup_steps <= after:
                progress.restart_clock()
            if after % asked.log_every < asked.num_lanes or after == asked.env_steps:
                self._log(metrics, progress, after)
            if after % asked.checkpoint_every < asked.num_lanes or after == asked.env_steps:
                self._save(after)
        progress.close()

    def _log(self, metrics: Metrics, progress: Progress, env_step: int) -> None:
        """One row of metrics, and the line that a person sees."""
        self._require_finite()
        agent = self.agent
        measured = agent.metrics()
        mean = {"return": sum(self.returns) / len(self.returns)} if self.returns else {}
        clock = {"seconds": round(time.monotonic() - self.started, 2), "env_steps_per_second": round(progress.speed, 2)}
        counts = {"update": agent.updates, "resets": agent.resets, "epsilon": agent.epsilon, "episodes": len(self.returns)}
        metrics.log("train", env_step, {**counts, **mean, **measured, "clock": clock})
        if self.asked.measure_every and env_step % self.asked.measure_every < self.asked.num_lanes and agent.updates:
            from agents.measures import measure

            metrics.log("plasticity", env_step, measure(agent, self.replay, env_step, self.asked.hessian_rounds))
        progress.note({**mean, **measured})
        self.returns.clear()

    def _require_finite(self) -> None:
        """UserError, code 1, if a loss was not finite: what comes of it must not take a checkpoint's place."""
        broken = self.agent.broken()
        if broken is not None:
            kept = self.folder.path / CHECKPOINT
            told = f"the last checkpoint is kept at {kept}" if kept.exists() else "there is no checkpoint yet"
            raise UserError(f"the loss of update {broken} is not finite; {told}", code=1)

    def _save(self, env_step: int) -> None:
        from experiment.checkpoint import save_checkpoint

        self._require_finite()
        state = {"env_step": env_step, "settings": self.asked.identity(), "agent": self.agent.state_dict()}
        save_checkpoint(self.folder.path / CHECKPOINT, state)

    def evaluate(self, metrics: Metrics) -> dict[str, Any]:
        """Play the evaluation and write the score; what score.json holds."""
        from eval import evaluate, summary

        asked = self.asked
        trained = time.monotonic()
        result = summary(evaluate(self.agent, asked.game, asked.eval_episodes, asked.seed), asked.game)
        metrics.log("evaluation", asked.env_steps, {"score": result["score"], "hns": result["hns"]})
        result = {
            **{name: getattr(asked, name) for name in ("agent", "game", "seed", "env_steps")},
            **result,
            "played_by": "tortoise" if asked.config.tortoise.acts else "hare",
            "hours": round((trained - self.started) / 3600, 4),
            "evaluation_hours": round((time.monotonic() - trained) / 3600, 4),
            "commit": commit(),
            "device": self.device,
        }
        self.folder.write_json(SCORE, result)
        return result


def main(argv: list[str]) -> None:
    """Run what the command line asks for."""
    asked = read_command_line(argv)
    with RunFolder(asked.folder) as folder:
        result = None if asked.fresh else folder.check(asked.identity())
        if result is None:
            result = carry_out(asked, folder)
    told = f"score {result['score']:,.1f}, hns {result['hns']:.3f}" if result else "trained, not evaluated"
    print(f"{asked.agent} on {asked.game}: {told} ({asked.folder})")


def carry_out(asked: Run, folder: RunFolder) -> dict[str, Any] | None:
    """Train and evaluate; what score.json holds, or None without an evaluation."""
    training = Training(asked, folder)
    folder.begin(asked.identity(), provenance() | {"device": training.device})
    name = f"{asked.agent}-{asked.game}-seed{asked.seed}"
    mirror = {"mode": asked.wandb, "project": "hare-and-tortoise", "name": name, "dir": str(folder.path)}
    metrics = Metrics(folder.path / METRICS, mirror | {"config": asked.identity()} if asked.wandb != "off" else None)
    try:
        training.learn(metrics)
        return training.evaluate(metrics) if asked.eval_episodes else None
    finally:
        metrics.close()
        training.lanes.close()


if __name__ == "__main__":
    run(main)
