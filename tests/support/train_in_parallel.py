"""One process of two that train together; run as a program with a rank and a folder."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ["GLOO_SOCKET_IFNAME"] = "lo"  # no other network is needed, nor always there

import torch

from support.models import batch_for, build, config_for

TASK = "sequence-classification"


def main(rank, folder):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    model = build("pt", config_for(TASK), TASK)
    parallel = torch.nn.parallel.DistributedDataParallel(model)
    batch = batch_for(model.config, TASK, rows=4)
    mine = {n: torch.from_numpy(array[rank * 2 : rank * 2 + 2]) for n, array in batch.items()}
    parallel(**mine).loss.backward()
    torch.save({name: p.grad for name, p in model.named_parameters()}, f"{folder}/{rank}.pt")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
