"""GRU4Rec: a recurrent network over a user's history (Hidasi et al., ICLR 2016; Hidasi and Karatzoglou, CIKM 2018).

B batch · L length · D width · N items. Inside, item 0 is padding and items are 1 … N; outside (histories, scores)
items are 0 … N-1, and :func:`models.sequence_model.pad` is the only place that adds the one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from models.dropout import PooledDropout
from models.history_encoder import HistoryEncoder, begin_at_zero, embedding_of


@dataclass(frozen=True)
class GRU4RecConfig:
    """The shape of a GRU4Rec; ``num_items`` counts real items, without padding."""

    num_items: int
    width: int = 64
    layers: int = 1  # the authors found no use in more
    dropout: float = 0.2
    max_length: int = 50

    def __post_init__(self) -> None:
        if min(self.num_items, self.width, self.layers, self.max_length) < 1:
            raise ValueError(f"{self}: every size has to be at least 1")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}; it has to lie in [0, 1)")


class GRU4Rec(HistoryEncoder):
    """Reads a history one item after the other and scores every item as the next one: state · item embedding.

    h_t = GRU(e_t, h_{t-1}), and the score of item n after t is h_t · e_n

    What is read and what is scored share one embedding, which 2018 calls constrained and found best. The papers lay
    sessions side by side and carry the states over from step to step; histories are short enough here to be read
    whole, in batches of like lengths. The loss is the caller's: of the papers' own, cross-entropy over sampled items
    that a whole batch shares is :func:`models.losses.sampled_softmax`.
    """

    config: GRU4RecConfig

    def __init__(self, config: GRU4RecConfig, seed: int, words_NT: csr_matrix | None = None) -> None:
        nn.Module.__init__(self)
        self.config = config
        # Modules draw their first weights from the global generator: give it back as it was, then draw our own.
        with torch.random.fork_rng(devices=[]):
            self.embedding = embedding_of(config, words_NT)
            # One at a time: dropout between the layers of a single nn.GRU would draw from the global generator.
            self.layers = nn.ModuleList(
                nn.GRU(config.width, config.width, batch_first=True) for _ in range(config.layers)
            )
        self.dropout = PooledDropout()
        self.masks_per_position = 1 + config.layers
        self._draw_weights(torch.Generator().manual_seed(seed))

    def forward(self, history_BL: Tensor) -> Tensor:
        """The state after each position, which knows that position and all before it: states_BLD."""
        states_BLD: Tensor = self.dropout(self.embedding(history_BL) * math.sqrt(self.config.width))
        for layer in self.layers:
            states_BLD = self.dropout(layer(states_BLD)[0])
        return states_BLD

    def encode_last(self, history_BL: Tensor, lengths_B: Tensor) -> Tensor:
        """The state after the last real position of each history, state_BD; zero for an empty one."""
        device, last_B = self.embedding.weight.device, (lengths_B - 1).clamp(min=0)
        state_BD: Tensor = self(history_BL.to(device))[torch.arange(len(last_B)), last_B].cpu()
        return state_BD * (lengths_B > 0).unsqueeze(1)

    def _draw_weights(self, generator: torch.Generator) -> None:
        bound = 1 / math.sqrt(self.config.width)
        for name, weight in self.named_parameters():
            if name in ("embedding.weight", "embedding.words_TD"):
                nn.init.trunc_normal_(weight, std=bound / 2, a=-bound, b=bound, generator=generator)
            elif "bias" in name:
                nn.init.zeros_(weight)
            else:
                nn.init.uniform_(weight, -bound, bound, generator=generator)
        begin_at_zero(self.embedding)
