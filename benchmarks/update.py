"""What an update costs beside the bare forward, backward and Adam of the same networks, and beside the machine's peak.

    python -m benchmarks.update --agents der spr

Bare means: inputs that lie ready as float32, noise that is already drawn, the same passes of hare and tortoise, a loss, the
backward pass, fused Adam. Everything else (draw, gather, augmentation, projection, clipping, metrics, tortoise, priorities) is
what the ratio shows.
"""

import argparse
import statistics
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from agents.agent import Agent
from agents.bases import BASES
from agents.catalogue import find_agent
from agents.measures import measure
from benchmarks.flops import filled, flops_of_an_update, matrix_peak
from benchmarks.timing import circumstances, interleaved, ratio, spread
from experiment.device import keep_freed_memory
from networks.qnetwork import QNetwork

ACTIONS = 9


def bare(agent: Agent) -> Callable[[], None]:
    """One forward, backward and Adam step of networks like `agent`'s, on inputs that lie ready."""
    config, device = agent.config, agent.device
    b, jumps = config.replay.batch_size, config.jumps
    networks = [QNetwork(config.encoder, config.head, config.prediction, ACTIONS) for _ in range(2)]
    for network in networks:
        network.initialise_(torch.Generator().manual_seed(0), config.initialisation)
    hare, tortoise = (network.to(device, memory_format=torch.channels_last) for network in networks)
    assert config.optimizer is not None
    adam = torch.optim.Adam(hare.parameters(), lr=config.optimizer.learning_rate, eps=config.optimizer.epsilon, fused=True)
    states = torch.rand((jumps + 2) * b, 4, 84, 84, device=device).contiguous(memory_format=torch.channels_last)
    now, bootstrap, later = states[:b], states[-b:], states[b:]
    action = torch.randint(ACTIONS, (b, max(jumps, 1)), device=device)
    noise = hare.draw_noise(torch.Generator(device).manual_seed(0))
    rows = torch.arange(b, device=device)

    def targets() -> tuple[Tensor, Tensor]:
        latent = tortoise.encode(later)
        logits = tortoise.logits(latent[-b:], noise)
        chooser = hare.logits(hare.encode(bootstrap), noise) if config.target.double else logits
        aim = logits[rows, hare.values(chooser).argmax(1)]
        return aim if config.head.atoms == 1 else aim.softmax(1), tortoise.project(latent[:-b]) if jumps else aim

    def step() -> None:
        with torch.no_grad():
            aim, goal = targets()
        latent = hare.encode(now)
        learnt = hare.logits(latent, noise)[rows, action[:, 0]]
        loss = functional.huber_loss(learnt, aim) if config.head.atoms == 1 else functional.cross_entropy(learnt, aim)
        if jumps:
            loss = loss - functional.cosine_similarity(hare.predict(latent, action).flatten(0, 1), goal).mean()
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()

    return step


def main() -> None:
    """Print one row for each agent."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", nargs="+", default=list(BASES))
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--rounds", type=int, default=40)
    asked = parser.parse_args()
    device = torch.device(asked.device)
    keep_freed_memory()  # as in a run
    print(circumstances())
    peak = matrix_peak(device)
    print(f"matrix product at its best: {peak / 1e9:.1f} GFLOP/s; milliseconds: median (quartiles)")
    print(f"{'agent':12}  {'update':22}  {'bare':22}  {'ratio':6}  {'act, one lane':22}  {'GFLOP':>7}  of peak  measure")
    for name in asked.agents:
        config = find_agent(name)
        agent = Agent(config, ACTIONS, device=device, seed=0)
        replay = filled(config, ACTIONS, 2_000, device)
        frames = torch.randint(256, (1, 4, 84, 84), dtype=torch.uint8, device=device)
        agent.epsilon = 0.0
        work = {
            "update": lambda agent=agent, replay=replay: agent.update(replay),
            "bare": bare(agent),
            "act": lambda agent=agent, frames=frames: agent.act(frames),
        }
        took = interleaved(work, asked.rounds, device=device)
        times = f"{spread(took['update']):22}  {spread(took['bare']):22}  {ratio(took['update'], took['bare']):<6.3f}"
        flops = flops_of_an_update(config, ACTIONS)
        reached = flops / statistics.median(took["update"]) / peak
        measured = statistics.median(interleaved({"": lambda a=agent, r=replay: measure(a, r, 0)}, 3, 1, device)[""])
        # What a measurement costs beside the updates of the 1,000 env steps from one to the next.
        part = measured / (1_000 * config.replay.ratio * statistics.median(took["update"]))
        last = f"{flops / 1e9:7.4g}  {reached:7.1%}  {1e3 * measured:.0f} ms, {part:.2%}"
        print(f"{name:12}  {times}  {spread(took['act']):22}  {last}", flush=True)


if __name__ == "__main__":
    main()
