"""The params section run.devices: on which processes and devices a training runs. Reading it does not import torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from dtc.config import Section


class DevicesConfig(Section):
    """The processes that train one model together. They change no weight, but for rounding.

    torchrun and `accelerate launch` start processes themselves: then they decide about processes, nodes and addresses,
    and these settings of them have no effect.
    """

    engine: Literal[
        "local", "ray"
    ]  # what starts the processes: dtc, on this machine; or Ray, on all nodes of a cluster
    ray_address: str | None  # of a running Ray cluster; null: start one on this machine
    max_failures: NonNegativeInt  # so often Ray starts all processes again when one is lost
    processes: Literal["auto"] | PositiveInt  # on this machine, or in Ray's cluster; auto: one for each GPU, or one
    backend: Literal["auto", "gloo", "nccl"]  # auto: nccl between GPUs, else gloo
    url: str | None = Field(pattern=r"^tcp://[^/:]+:[0-9]{1,5}$")  # tcp://address:port, for the two next keys
    master_address: str | None  # of node 0; null: all processes are on this machine
    master_port: int | None = Field(ge=1, le=65535)  # a free one; null: any, where all are on this machine
    num_nodes: PositiveInt  # machines
    node_rank: NonNegativeInt  # the number of this machine
    connect_s: PositiveFloat  # seconds within which all processes must be connected
    cudnn_enabled: bool
    cudnn_benchmark: bool  # true: try which algorithm is fastest; weights may differ in the last bits
    deterministic: bool  # true: only algorithms that give the same bits again

    @model_validator(mode="after")
    def _check(self) -> DevicesConfig:
        host, port = self.address
        if self.master_address not in (None, host) or self.master_port not in (None, port):
            raise ValueError(f"url {self.url} with another master_address or master_port, expected the same or null")
        if self.node_rank >= self.num_nodes:
            raise ValueError(f"node_rank {self.node_rank} of {self.num_nodes} nodes, expected 0 to num_nodes - 1")
        if self.num_nodes > 1 and not (host and port):
            raise ValueError(f"{self.num_nodes} nodes without master_address and master_port, expected both")
        if self.engine == "ray" and self.num_nodes > 1:
            raise ValueError(f"num_nodes {self.num_nodes} with engine ray, expected 1: Ray knows the nodes")
        return self

    @property
    def address(self) -> tuple[str | None, int | None]:
        """Return address and port of node 0."""
        if self.url:
            host, _, port = self.url.removeprefix("tcp://").rpartition(":")
            return host, int(port)
        return self.master_address, self.master_port
