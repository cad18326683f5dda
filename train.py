"""Train an agent on a game: act, step the lanes, learn, remember, reset; then evaluate it.

    python train.py --game Pong --agent spr_ht
    python train.py --agent der --help        every flag with the agent's own values
    python train.py --agent help              every agent

The same command continues a run that was interrupted, to the bit. torch is imported only once the command line has been read
and found good; all else before anything is trained, so that the run is of one state of the code, whatever is edited meanwhile.
"""

import experiment.interrupt  # noqa: F401  the first of all imports: it answers Ctrl-C within the others

# isort: split
import json
import sys
import time
from typing import Any

import numpy as np

from agents.schedules import updates_due
from envs.games import find_game
from envs.lanes import SIDE, Step
from envs.make import make_lanes
from experiment.command import DivergenceError, UserError, run, say
from experiment.folder import CHECKPOINT, METRICS, RunFolder, kept_checkpoint
from experiment.metrics import Metrics
from experiment.mirror import mirrored, require_key
from experiment.progress import Progress
from experiment.provenance import commit_at_start, moved, provenance
from experiment.signals import Signals
from options import Run, read_command_line


class Training:
    """A run under way: the lanes, the agent, its memory, and what is written down."""

    def __init__(self, asked: Run, folder: RunFolder) -> None:
        """UserError if the device or the game's ROM is absent, or if the device cannot do what is asked."""
        import agents.measures  # noqa: F401  for later; from here on torch is loaded
        import eval  # noqa: F401
        import experiment.checkpoint  # noqa: F401
        from agents.agent import Agent
        from agents.engine import check_execution
        from experiment.device import choose_device, device_name, keep_freed_memory
        from experiment.past import Past
        from replay.batch import Rule, Window
        from replay.buffer import ReplayBuffer
        from replay.stack import FrameStack

        keep_freed_memory()
        c = asked.config
        device = choose_device(asked.device)
        try:
            check_execution(asked.execution, device)
            self.lanes = make_lanes(asked.game, asked.num_lanes, asked.seed)
        except ValueError as error:
            raise UserError(str(error)) from error
        self.asked, self.folder, self.device = asked, folder, device_name(device)
        how = {"device": device, "seed": asked.seed, "execution": asked.execution}
        self.agent = Agent(c, self.lanes.num_actions, **how, planned=updates_due(c, asked.env_steps))
        window, rule = Window(c.target.n_max, c.jumps), Rule(c.replay.alpha, c.replay.new_rows)
        least = window.steps_needed * asked.num_lanes  # all that an agent needs which does not learn
        rows = least if c.optimizer is None else min(c.replay.capacity, max(asked.env_steps, least))
        self.replay = ReplayBuffer(rows, asked.num_lanes, window, rule, device=device, seed=asked.seed)
        self.stack = FrameStack(asked.num_lanes, SIDE, device)
        self.past = Past(asked.env_steps // asked.num_lanes, asked.num_lanes)
        self.env_step = 0  # env steps done, over all lanes
        self.returns: list[float] = []  # of the games finished since metrics were last written
        self.seconds, self.started = 0.0, time.monotonic()  # of learning before `started`, which `learn` sets anew
        self.stack.push_(self.lanes.reset(), np.ones(asked.num_lanes, bool))

    def learn(self, metrics: Metrics, signals: Signals) -> None:
        """The loop; it saves and ends early if `signals` ask for it. DivergenceError if a loss is not finite."""
        from agents.measures import measure

        asked, agent, lanes = self.asked, self.agent, self.lanes
        self.started = time.monotonic() - self.seconds
        label, paced = f"{asked.agent} {asked.game} seed {asked.seed}", not asked.warming_up(self.env_step)
        progress = Progress(label, asked.env_steps, "env steps", self.env_step, paced)
        for env_step in range(self.env_step, asked.env_steps, asked.num_lanes):
            after = env_step + asked.num_lanes
            agent.anneal_(env_step)
            action = agent.act(self.stack.frames).numpy(force=True)
            lanes.send(action)
            # While the emulators run, the agent learns from all rows before this one; it is measured first, not behind a reset.
            if asked.measure_every and after % asked.measure_every < asked.num_lanes and agent.updates:
                self._require_finite(metrics)
                metrics.log("plasticity", after, measure(agent, self.replay, after, asked.hessian_rounds))
            for _ in range(updates_due(asked.config, after) - agent.updates):
                agent.update(self.replay)
            step = lanes.recv()
            self._remember(action, step)
            for episode in step.finished:
                self.returns.append(episode.score)
                metrics.log("episode", after, {"return": episode.score, "length": episode.length, "lane": episode.lane})
            progress.advance(asked.num_lanes)
            if asked.warming_up(env_step) and not asked.warming_up(after):
                progress.restart_clock()
            if after % asked.log_every < asked.num_lanes or after == asked.env_steps:
                self._log(metrics, progress, after)
            if after % asked.checkpoint_every < asked.num_lanes or after == asked.env_steps or signals.asked:
                self._save(metrics)
            if signals.asked:
                break
        progress.close()

    def _remember(self, action: np.ndarray, step: Step) -> None:
        """Keep the env step that `action`, int64 [L], was taken in."""
        terminal = step.life_lost | step.game_over
        self.replay.append(self.stack.newest, action, step.reward.clip(-1, 1), terminal, step.truncated)
        self.stack.push_(step.frame, terminal | step.truncated)
        self.past.add(action, step.frame, step.reward, terminal, step.truncated)
        self.env_step += len(action)

    def restore(self, state: dict[str, Any]) -> dict[str, Any] | int:
        """Take over what `_save` saved; the metrics' mark. UserError if it is of another run, or if games do not repeat."""
        from experiment.device import keep_threads, require_same_type

        self.folder.require_own(state["settings"], self.asked.identity(), Run)
        require_same_type(state.get("device"), self.agent.device)
        self.device = keep_threads(state, self.agent.device)
        self.agent.load_state_dict(state["agent"])
        self.returns, self.seconds = state["returns"], state["seconds"]
        if state["env_step"] == self.asked.env_steps:  # nothing more will be learnt
            self.env_step = state["env_step"]
            return state["metrics"]
        self._replay(state["past"]["actions"].numpy().astype(np.int64))
        self.past.require(state["past"]["hash"], state["versions"]["ale-py"], provenance()["versions"]["ale-py"])
        if self.asked.config.optimizer is not None:  # nothing else draws from it
            self.replay.load_state_dict(state["replay"])
        return state["metrics"]

    def _replay(self, actions: np.ndarray) -> None:
        """Play `actions`, int64 [time, L], again: emulators, frames and hash come to be what they were."""
        progress = Progress("playing again", len(actions), "env steps")
        self.lanes.send(actions[0])
        for action, following in zip(actions, [*actions[1:], None], strict=True):
            step = self.lanes.recv()
            if following is not None:
                self.lanes.send(following)  # the emulators run while this env step is remembered
            self._remember(action, step)
            progress.advance(1)
            if self.past.time % 20_000 == 0:
                progress.note({})
        progress.close()

    def _log(self, metrics: Metrics, progress: Progress, env_step: int) -> None:
        """One row of metrics, and the line that a person sees."""
        self._require_finite(metrics)
        agent = self.agent
        measured = agent.metrics()
        mean = {"return": sum(self.returns) / len(self.returns)} if self.returns else {}
        clock = {"seconds": round(time.monotonic() - self.started, 2), "env_steps_per_second": round(progress.speed, 2)}
        counts = {"update": agent.updates, "resets": agent.resets, "epsilon": agent.epsilon, "episodes": len(self.returns)}
        metrics.log("train", env_step, {**counts, **mean, **measured, "clock": clock})
        progress.note({**mean, **measured})
        self.returns.clear()

    def _require_finite(self, metrics: Metrics) -> None:
        """DivergenceError if a loss was not finite: what comes of it must not take a checkpoint's place."""
        broken = self.agent.broken()
        if broken is not None:
            metrics.log("diverged", self.env_step, {"update": broken})  # for whoever looks at many runs
            raise DivergenceError(f"the loss of update {broken} is not finite; {kept_checkpoint(self.folder.path)}")

    def _save(self, metrics: Metrics) -> None:
        import torch

        from experiment.checkpoint import save_checkpoint

        self._require_finite(metrics)
        state = {
            "env_step": self.env_step,
            "settings": json.loads(json.dumps(self.asked.identity())),
            "agent": self.agent.state_dict(),
            "replay": self.replay.state_dict(),
            "past": self.past.state_dict(),
            "returns": list(self.returns),
            "seconds": time.monotonic() - self.started,
            "metrics": metrics.mark(),
            "device": self.agent.device.type,
            "threads": torch.get_num_threads(),
            "versions": provenance()["versions"],
        }
        save_checkpoint(self.folder.path / CHECKPOINT, state)

    def evaluate(self, metrics: Metrics) -> dict[str, Any]:
        """Play the evaluation and write the score; what score.json holds."""
        from eval import evaluate, summary

        asked, trained = self.asked, time.monotonic()
        result = summary(evaluate(self.agent, asked.game, asked.eval_episodes, asked.seed), asked.game)
        metrics.log("evaluation", asked.env_steps, {"score": result["score"], "hns": result["hns"]})
        result = {
            **{name: getattr(asked, name) for name in ("agent", "game", "seed", "env_steps")},
            **result,
            "played_by": "tortoise" if asked.config.tortoise.acts else "hare",
            "hours": round((trained - self.started) / 3600, 4),
            "evaluation_hours": round((time.monotonic() - trained) / 3600, 4),
            "commit": commit_at_start(),
            **(moved() | self.folder.commits()),
            "device": self.device,
        }
        self.folder.write_score(result)
        return result


def main(argv: list[str]) -> None:
    """Run what the command line asks for."""
    asked = read_command_line(argv)
    with Signals() as signals, RunFolder(asked.folder) as folder:
        result = None if asked.fresh else folder.check(asked.identity(), Run)
        if result is not None:
            say(folder.finished(result))
        else:
            result = carry_out(asked, folder, signals)
    told = "trained, not evaluated"
    if result is not None:
        told = f"score {result['score']:,.1f}, hns {find_game(asked.game).normalised(result['score']):.3f}"
    say(f"{asked.agent} on {asked.game}: {told} ({asked.folder})", sys.stdout)


def carry_out(asked: Run, folder: RunFolder, signals: Signals) -> dict[str, Any] | None:
    """Train, from the last checkpoint on if there is one, and evaluate; what score.json holds, None without an evaluation."""
    made = provenance()  # the commit is taken before more of the code is read
    if asked.wandb == "online":
        require_key()
    training, kept = Training(asked, folder), 0
    if folder.checkpoint is not None and not asked.fresh:
        from experiment.checkpoint import load_checkpoint

        kept = training.restore(load_checkpoint(folder.checkpoint, "cpu"))
        folder.go_on(asked.identity(), made | {"device": training.device, "env_step": training.env_step})
    else:
        folder.begin(asked.identity(), made | {"device": training.device})
    where = {"project": "hare-and-tortoise", "group": f"{asked.agent}-{asked.game}"}  # the seeds of a sweep side by side
    where["name"] = f"{where['group']}-seed{asked.seed}"
    metrics = Metrics(folder.path / METRICS, mirrored(asked.wandb, where, folder, asked.identity()), kept)
    try:
        with signals.patient():
            training.learn(metrics, signals)
        return training.evaluate(metrics) if asked.eval_episodes else None
    finally:
        training.lanes.close()
        metrics.close()


if __name__ == "__main__":
    run(main)
