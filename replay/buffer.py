"""Prioritised sequence replay that lives on the learner's device.

One row a lane and env step t: frame o_t, action a_t, clipped reward r_t, terminal_t (game over or life lost by a_t) and
ended_t (terminal, or cut by the time limit). Frames are stored once and stacks are rebuilt when a row is drawn.

A row may be drawn once its window t .. t + reach is complete, unless a time limit cuts it before a terminal does; until
then, and from the moment that an older frame of its stack is overwritten, its priority is 0. So no draw is rejected.
"""

import numpy as np
import torch
from torch import Tensor

from replay.batch import STACK, Batch, Rule, Window
from replay.priorities import Priorities

Column = Tensor | np.ndarray


class ReplayBuffer:
    """A ring of `capacity // num_lanes` env steps for each lane; the flat row of lane l and slot s is l * steps + s."""

    def __init__(
        self, capacity: int, num_lanes: int, window: Window, rule: Rule, *, device: torch.device | str, seed: int
    ) -> None:
        """Raises ValueError if a lane could come to hold no row that may be drawn."""
        self.steps = capacity // num_lanes
        self.reach = window.reach
        n_max, jumps, side = window.n_max, window.jumps, window.side
        if self.steps < window.steps_needed:
            needed = f"a window of {self.reach} needs {window.steps_needed} in each"
            raise ValueError(f"{capacity} rows in {num_lanes} lanes are too few: {needed}")
        self.num_lanes = num_lanes
        self.jumps = jumps
        self._time = torch.zeros(1, dtype=torch.int64, device=device)  # env steps appended so far, in each lane
        rows = self.steps * num_lanes
        self.frame = torch.zeros(num_lanes, self.steps, side, side, dtype=torch.uint8, device=device)
        self.action = torch.zeros(num_lanes, self.steps, dtype=torch.int64, device=device)
        self.reward = torch.zeros(num_lanes, self.steps, device=device)
        self.terminal = torch.zeros(num_lanes, self.steps, device=device)
        self.ended = torch.zeros(num_lanes, self.steps, device=device)
        self.priorities = Priorities(rows, rule, device)
        self.generator = torch.Generator(device).manual_seed(seed)
        self._window = torch.arange(n_max, device=device)
        self._past = torch.arange(1 - STACK, 1, device=device)  # -3 .. 0, the frames of a stack
        self._future = torch.arange(1 - STACK, jumps + 1, device=device)  # -3 .. K
        self._ahead = torch.arange(self.reach, device=device)

    @property
    def time(self) -> int:
        """Env steps appended so far, in each lane. Waits for the device."""
        return int(self._time)

    def append(self, frame: Column, action: Column, reward: Column, terminal: Column, truncated: Column) -> None:
        """Add one row a lane: `frame` uint8 [L, 84, 84], `action` int64 [L], `reward` float32 [L], two bool [L].

        Each may be a tensor or a NumPy array. `truncated` means cut by the time limit; where `terminal` holds it is ignored.
        Nothing is read on the host, so that it can be recorded as a CUDA graph.
        """
        slot, complete = self._time % self.steps, self._time - self.reach  # int64 [1]
        columns = (self.frame, frame), (self.action, action), (self.reward, reward), (self.terminal, terminal)
        for column, values in (*columns, (self.ended, terminal | truncated)):
            column.index_copy_(1, slot, torch.as_tensor(values, dtype=column.dtype, device=column.device).unsqueeze(1))
        value = self.priorities.value.view(self.num_lanes, self.steps)
        value.index_fill_(1, (slot + STACK - 1) % self.steps, 0)  # the last row whose stack needs the frame just overwritten
        # Before the first is complete a row is meant that was never written, and its priority stays 0.
        value.index_copy_(1, complete % self.steps, self._maturity(complete) * (complete >= 0))
        self._time += 1

    def _maturity(self, slot: Tensor) -> Tensor:
        """Priority of the rows that have just got their whole window: a new row's, or 0 if a time limit cuts it.

        `slot` int64 [1]; int64 [L, 1].
        """
        rows = (slot + self._ahead) % self.steps
        terminal, ended = self.terminal[:, rows], self.ended[:, rows]
        unfinished = (1 - terminal).cumprod(1)  # 1 up to the first terminal, that one not included
        return self.priorities.new * ((ended * unfinished).amax(1, keepdim=True) == 0)

    def sample(self, chance: Tensor, n: Tensor, gamma: Tensor, beta: Tensor) -> Batch:
        """A batch. `n` int64 [] at most n_max, `gamma` and `beta` float32 []; no value is read on the host.

        `chance` float64 [B], uniform in [0, 1), decides which.
        """
        index = self.priorities.draw(chance)
        return self.gather(index, n, gamma, self.priorities.weights(index, beta))

    def gather(self, index: Tensor, n: Tensor, gamma: Tensor, weight: Tensor) -> Batch:
        """The windows that start at rows `index`, int64 [B]. Each frame is read once for each of the two stretches of time."""
        slot = (index % self.steps).unsqueeze(1)
        first = index.unsqueeze(1) - slot  # row of the lane's slot 0

        def rows(offset: Tensor) -> Tensor:
            return first + (slot + offset) % self.steps  # [B, len(offset)]

        def read(column: Tensor, at: Tensor) -> Tensor:
            return column.view(-1)[at]

        now, later = rows(self._future), rows(self._past + n)
        at = torch.cat((now, later), 1)
        frames = self.frame.flatten(0, 1).flatten(1).index_select(0, at.view(-1))
        ret, discount = self._n_step(read(self.reward, rows(self._window)), read(self.terminal, rows(self._window)), n, gamma)
        running = 1 - read(self.ended, at)  # [B, K + 8]
        terminal = read(self.terminal, now[:, STACK - 1 :])  # t .. t+K
        return Batch(
            frames=frames.view(*at.shape, *self.frame.shape[2:]),
            visible=self._visible(running),
            action=read(self.action, now[:, STACK - 1 : STACK - 1 + max(self.jumps, 1)]),
            ret=ret,
            discount=discount,
            mask=(1 - terminal).cumprod(1)[:, 1:].T,
            weight=weight,
            index=index,
        )

    def _n_step(self, reward: Tensor, terminal: Tensor, n: Tensor, gamma: Tensor) -> tuple[Tensor, Tensor]:
        """n-step return and bootstrap discount from `reward` and `terminal`, float32 [B, n_max]; two float32 [B]."""
        within = self._window < n
        after = (1 - terminal * within).cumprod(1)  # still running after reward j
        before = torch.cat((torch.ones_like(after[:, :1]), after[:, :-1]), 1)
        ret = (reward * before * (gamma**self._window * within)).sum(1)
        return ret, gamma**n * after[:, -1]

    def _visible(self, running: Tensor) -> Tensor:
        """Which frames of each observation belong to its game and life; `running` float32 [B, K + 8], result [S, B, 4]."""
        stretch = self.jumps + STACK
        # Frame i of a stack is seen if nothing ended between it and the stack's last frame.
        gaps = torch.cat(
            (running[:, : stretch - 1].unfold(1, STACK - 1, 1), running[:, None, stretch : stretch + STACK - 1]), 1
        )
        seen = gaps.flip(2).cumprod(2).flip(2)
        return torch.cat((seen, torch.ones_like(seen[:, :, :1])), 2).transpose(0, 1)

    def state_dict(self) -> dict[str, Tensor]:
        """What the rows do not tell: priorities, the largest of them, and the state of the draws."""
        return {**self.priorities.state_dict(), "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take over what `state_dict` gave, once the same rows have been appended."""
        self.priorities.load_state_dict(state)
        self.generator.set_state(state["generator"])

    def reprioritise_(self, index: Tensor, priority: Tensor) -> None:
        """Write new priorities, float32 [B] before the exponent alpha, to the rows `index`, int64 [B]."""
        self.priorities.write_(index, priority)
