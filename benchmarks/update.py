"""What an update costs beside the bare forward, backward and Adam of the same networks; and what an action costs.

    python -m benchmarks.update --agents der spr

Bare means: inputs that lie ready as float32, noise that is already drawn, the same passes of hare and tortoise, a loss, the
backward pass, fused Adam. Everything else (draw, gather, augmentation, projection, clipping, metrics, tortoise, priorities) is
what the ratio shows.
"""

import argparse
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from agents.agent import Agent
from agents.catalogue import AGENTS
from benchmarks.timing import circumstances, interleaved, ratio, spread
from experiment.device import keep_freed_memory
from networks.qnetwork import QNetwork
from replay.batch import Window
from replay.buffer import ReplayBuffer

ACTIONS = 9


def filled(config_window: Window, alpha: float, rows: int, device: torch.device) -> ReplayBuffer:
    """A replay of `rows` random rows with a game over every hundred or so."""
    replay = ReplayBuffer(rows, 1, config_window, alpha, device=device, seed=0)
    generator = torch.Generator().manual_seed(0)
    for _ in range(rows):
        frame = torch.randint(256, (1, 84, 84), dtype=torch.uint8, generator=generator)
        action = torch.randint(ACTIONS, (1,), generator=generator)
        reward = torch.randn(1, generator=generator).clamp(-1, 1)
        replay.append(frame, action, reward, torch.rand(1, generator=generator) < 0.01, torch.zeros(1, dtype=torch.bool))
    return replay


def bare(agent: Agent) -> Callable[[], None]:
    """One forward, backward and Adam step of networks like `agent`'s, on inputs that lie ready."""
    config, device = agent.config, agent.device
    b, jumps = config.replay.batch_size, config.jumps
    networks = [QNetwork(config.encoder, config.head, config.prediction, ACTIONS) for _ in range(2)]
    hare, tortoise = (network.to(device, memory_format=torch.channels_last) for network in networks)
    assert config.optimizer is not None
    adam = torch.optim.Adam(hare.parameters(), lr=config.optimizer.learning_rate, eps=config.optimizer.epsilon, fused=True)
    states = torch.rand((jumps + 2) * b, 4, 84, 84, device=device).contiguous(memory_format=torch.channels_last)
    now, bootstrap, later = states[:b], states[-b:], states[b:]
    action = torch.randint(ACTIONS, (b, max(jumps, 1)), device=device)
    noise = hare.draw_noise(torch.Generator(device).manual_seed(0))
    rows = torch.arange(b, device=device)

    def targets() -> tuple[Tensor, Tensor]:
        best = hare.values(hare.logits(hare.encode(bootstrap), noise)).argmax(1)
        latent = tortoise.encode(later)
        probs = tortoise.logits(latent[-b:], noise)[rows, best].softmax(1)
        return probs, tortoise.project(latent[:-b]) if jumps else probs

    def step() -> None:
        with torch.no_grad():
            probs, goal = targets()
        latent = hare.encode(now)
        loss = functional.cross_entropy(hare.logits(latent, noise)[rows, action[:, 0]], probs)
        if jumps:
            loss = loss - functional.cosine_similarity(hare.predict(latent, action).flatten(0, 1), goal).mean()
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()

    return step


def main() -> None:
    """Print one row for each agent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", nargs="+", default=["der", "spr"], choices=[n for n, c in AGENTS.items() if c.optimizer])
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--rounds", type=int, default=40)
    asked = parser.parse_args()
    device = torch.device(asked.device)
    keep_freed_memory()  # as in a run
    print(circumstances())
    print("milliseconds: median (quartiles)")
    print(f"{'agent':10}  {'update':24}  {'bare':24}  {'ratio':6}  act, one lane")
    for name in asked.agents:
        config = AGENTS[name]
        agent = Agent(config, ACTIONS, device=device, seed=0)
        window = Window(config.target.n_max, config.jumps)
        replay = filled(window, config.replay.alpha, 2_000, device)
        frames = torch.randint(256, (1, 4, 84, 84), dtype=torch.uint8, device=device)
        agent.epsilon = 0.0
        work = {
            "update": lambda agent=agent, replay=replay: agent.update(replay),
            "bare": bare(agent),
            "act": lambda agent=agent, frames=frames: agent.act(frames),
        }
        took = interleaved(work, asked.rounds, device=device)
        times = f"{spread(took['update']):24}  {spread(took['bare']):24}  {ratio(took['update'], took['bare']):<6.3f}"
        print(f"{name:10}  {times}  {spread(took['act'])}", flush=True)


if __name__ == "__main__":
    main()
