"""SASRec: a causal transformer over a user's history (Kang and McAuley, ICDM 2018).

B batch · L length · D width · H heads · N items · U users. Inside, item 0 is padding and items are 1 … N; outside
(histories, scores) items are 0 … N-1, and :func:`models.sequence_model.pad` is the only place that adds the one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.nn import functional

from models.dropout import PooledDropout
from models.events import DAY, ITEM, NUM_TYPES, TYPE
from models.gaps import NUM_GAPS, gaps_between
from models.history_encoder import HistoryEncoder, begin_at_zero, embedding_of


@dataclass(frozen=True)
class SASRecConfig:
    """The shape of a SASRec, and what it reads; ``num_items`` counts real items, without padding."""

    num_items: int
    width: int = 64
    blocks: int = 2
    heads: int = 2
    dropout: float = 0.2
    max_length: int = 50
    reads_gaps: bool = False  # how many days passed between an event and the one before it
    reads_types: bool = False  # of what type an event is

    def __post_init__(self) -> None:
        if min(self.num_items, self.width, self.blocks, self.heads, self.max_length) < 1:
            raise ValueError(f"{self}: every size has to be at least 1")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is {self.dropout}; it has to lie in [0, 1)")


class Block(nn.Module):
    """One layer: look back at earlier positions, then think about each position by itself.

    Normalised before each half (pre-norm), so that the residual path stays an identity and trains without
    a warm-up. Attention weights have no dropout: it would need the scores that the fused kernel never makes.
    """

    def __init__(self, config: SASRecConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.attention_norm = nn.LayerNorm(config.width)
        self.query_key_value = nn.Linear(config.width, 3 * config.width)
        self.attention_out = nn.Linear(config.width, config.width)
        self.feed_norm = nn.LayerNorm(config.width)
        self.feed_in = nn.Linear(config.width, config.width)
        self.feed_out = nn.Linear(config.width, config.width)
        self.dropout = PooledDropout()

    def forward(self, states_BLD: Tensor) -> Tensor:
        """The states after this layer."""
        B, L, D = states_BLD.shape
        stacked = self.query_key_value(self.attention_norm(states_BLD)).view(
            B, L, 3, self.heads, D // self.heads
        )
        query_BHLd, key_BHLd, value_BHLd = stacked.permute(2, 0, 3, 1, 4)
        # Padding is on the right, so that "nothing later" already hides it: no mask tensor is needed.
        seen_BHLd = functional.scaled_dot_product_attention(query_BHLd, key_BHLd, value_BHLd, is_causal=True)
        seen_BLD = seen_BHLd.transpose(1, 2).reshape(B, L, D)
        return self.thought(states_BLD + self.dropout(self.attention_out(seen_BLD)))

    def at(self, states_BLD: Tensor, last_B: Tensor) -> Tensor:
        """The states after this layer at one position of each history only: state_BD."""
        B, L, D = states_BLD.shape
        weight, bias = self.query_key_value.weight, self.query_key_value.bias
        normed_BLD = self.attention_norm(states_BLD)
        state_BD = states_BLD[torch.arange(B), last_B]
        query_BD = functional.linear(normed_BLD[torch.arange(B), last_B], weight[:D], bias[:D])
        key_value = functional.linear(normed_BLD, weight[D:], bias[D:]).view(
            B, L, 2, self.heads, D // self.heads
        )
        key_BHLd, value_BHLd = key_value.permute(2, 0, 3, 1, 4)
        query_BH1d = query_BD.view(B, self.heads, 1, D // self.heads)
        is_earlier_B11L = (torch.arange(L, device=last_B.device) <= last_B[:, None])[:, None, None, :]
        seen_BH1d = functional.scaled_dot_product_attention(query_BH1d, key_BHLd, value_BHLd, is_earlier_B11L)
        return self.thought(state_BD + self.dropout(self.attention_out(seen_BH1d.reshape(B, D))))

    def thought(self, states: Tensor) -> Tensor:
        """The states after the half that looks at each position by itself."""
        inner = functional.gelu(self.feed_in(self.feed_norm(states)))
        thought: Tensor = self.dropout(self.feed_out(inner))
        return states + thought


class SASRec(HistoryEncoder):
    """Reads a history and scores every item as the next one: state of the last position · item embedding.

    Of what ``config`` says that it reads beside items, each value has a vector that is added to its event's: intervals of time
    as in TiSASRec (Li et al., WSDM 2020), here of neighbouring events alone and added to inputs instead of attention. They
    are those between the events of a history, and not the one up to the moment that it is asked: a state follows from its
    history, whatever the day.
    """

    config: SASRecConfig

    def __init__(self, config: SASRecConfig, seed: int, words_NT: csr_matrix | None = None) -> None:
        nn.Module.__init__(self)
        self.config = config
        self.masks_per_position = 1 + 2 * config.blocks
        # Modules draw their first weights from the global generator: give it back as it was, then draw our own.
        with torch.random.fork_rng(devices=[]):
            self.embedding = embedding_of(config, words_NT)
            self.positions_LD = nn.Parameter(torch.empty(config.max_length, config.width))
            self.gaps_GD = nn.Parameter(torch.empty(NUM_GAPS, config.width)) if config.reads_gaps else None
            self.types_TD = (
                nn.Parameter(torch.empty(NUM_TYPES + 1, config.width)) if config.reads_types else None
            )
            self.dropout = PooledDropout()
            self.blocks = nn.ModuleList(Block(config) for _ in range(config.blocks))
            self.final_norm = nn.LayerNorm(config.width)
        self._draw_weights(torch.Generator().manual_seed(seed))

    @property
    def reads_events(self) -> bool:  # type: ignore[override]
        return self.config.reads_gaps or self.config.reads_types

    def forward(self, history_BL: Tensor) -> Tensor:
        """The state after each position, which knows that position and all before it: state_BLD."""
        states_BLD = self._embedded(history_BL)
        for block in self.blocks:
            states_BLD = block(states_BLD)
        state_BLD: Tensor = self.final_norm(states_BLD)
        return state_BLD

    def _embedded(self, history_BL: Tensor) -> Tensor:
        embedded_BLD: Tensor = self.dropout(self.told(history_BL) + self.positions_LD[: history_BL.shape[1]])
        return embedded_BLD

    def told(self, history_BL: Tensor, gaps_BL: Tensor | None = None) -> Tensor:
        """What is read of each event, without its position: states_BLD.

        Args:
            gaps_BL: sizes of the gaps before the events; without, those between the days of the history.

        Raises:
            ValueError: the model reads events, and the history is of items; or the other way round.
        """
        if (history_BL.ndim > 2) != self.reads_events:
            reads, given = ("events", "items") if self.reads_events else ("items alone", "events")
            raise ValueError(f"the model reads {reads}, and is given {given}")
        items_BL = history_BL[..., ITEM] if self.reads_events else history_BL
        states_BLD: Tensor = self.embedding(items_BL) * math.sqrt(self.config.width)
        if self.types_TD is not None:
            states_BLD = states_BLD + self.types_TD[history_BL[..., TYPE]]
        if self.gaps_GD is not None:
            sizes_BL = gaps_between(history_BL[..., DAY]) if gaps_BL is None else gaps_BL
            states_BLD = states_BLD + self.gaps_GD[sizes_BL]
        return states_BLD

    def encode_last(self, history_BL: Tensor, lengths_B: Tensor) -> Tensor:
        """The state after the last real position of each history; zero for an empty one."""
        device = self.positions_LD.device
        last_B = (lengths_B - 1).clamp(min=0).to(device)
        states_BLD = self._embedded(history_BL.to(device))
        *earlier, last = self.blocks
        for block in earlier:
            states_BLD = block(states_BLD)
        assert isinstance(last, Block)
        state_BD: Tensor = self.final_norm(last.at(states_BLD, last_B)).cpu()
        return state_BD * (lengths_B > 0).unsqueeze(1)

    def _draw_weights(self, generator: torch.Generator) -> None:
        for name, weight in self.named_parameters():
            if name.endswith("norm.weight"):
                nn.init.ones_(weight)
            elif name.endswith("bias") or name in ("gaps_GD", "types_TD"):
                nn.init.zeros_(weight)  # who reads gaps and types is at first as good as who does not
            else:
                is_table = name in ("embedding.weight", "embedding.words_TD", "positions_LD")
                std = 1 / math.sqrt(self.config.width) / (2 if is_table else 1)
                nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std, generator=generator)
        begin_at_zero(self.embedding)
