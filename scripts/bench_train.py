"""One LoRA training step in PyTorch, for comparison with `cargo run --release --example bench_train`.

The same model, batch, adapter, operations and optimiser as the node's trainer: frozen f32 base, LoRA r=8 on all seven
projections, SDPA, RMSNorm, AdamW, clipping. Prints one line of JSON a measurement.

    python scripts/bench_train.py [steps] [threads] [model folder]
"""

import json
import statistics
import sys
import time

import torch
import torch.nn.functional as F

ROWS, COLUMNS, RANK, SCALE = 16, 256, 8, 2.0


def shape_small():
    return dict(hidden=256, inter=704, layers=16, heads=8, kv=4, head=32, vocab=4096, eps=1e-5, theta=1e4)


def shape_folder(folder):
    c = json.load(open(f"{folder}/config.json"))
    return dict(hidden=c["hidden_size"], inter=c["intermediate_size"], layers=c["num_hidden_layers"],
                heads=c["num_attention_heads"], kv=c["num_key_value_heads"], head=c["head_dim"],
                vocab=c["vocab_size"], eps=c["rms_norm_eps"], theta=c["rope_theta"])


class Linear(torch.nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.randn(outputs, inputs) * 0.02, requires_grad=False)
        self.a = torch.nn.Parameter((torch.rand(RANK, inputs) * 2 - 1) / inputs**0.5)
        self.b = torch.nn.Parameter(torch.zeros(outputs, RANK))

    def forward(self, x):
        return F.linear(x, self.weight) + F.linear(F.linear(x, self.a), self.b) * SCALE


class Layer(torch.nn.Module):
    def __init__(self, s):
        super().__init__()
        self.s = s
        q, k = s["heads"] * s["head"], s["kv"] * s["head"]
        h, i = s["hidden"], s["inter"]
        self.q, self.k, self.v, self.o = Linear(h, q), Linear(h, k), Linear(h, k), Linear(q, h)
        self.gate, self.up, self.down = Linear(h, i), Linear(h, i), Linear(i, h)
        self.n1 = torch.nn.Parameter(torch.ones(h), requires_grad=False)
        self.n2 = torch.nn.Parameter(torch.ones(h), requires_grad=False)

    def forward(self, x, cos, sin):
        s = self.s
        b, n, h = x.shape

        def heads(t, count):
            return t.view(b, n, count, s["head"]).transpose(1, 2)

        def turn(t):
            x1, x2 = t.chunk(2, -1)
            return t * cos + torch.cat((-x2, x1), -1) * sin

        y = F.rms_norm(x, (h,), self.n1, s["eps"])
        q, k, v = turn(heads(self.q(y), s["heads"])), turn(heads(self.k(y), s["kv"])), heads(self.v(y), s["kv"])
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=s["heads"] != s["kv"])
        x = x + self.o(y.transpose(1, 2).reshape(b, n, -1))
        y = F.rms_norm(x, (h,), self.n2, s["eps"])
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Llama(torch.nn.Module):
    def __init__(self, s):
        super().__init__()
        self.s = s
        self.embed = torch.nn.Parameter(torch.randn(s["vocab"], s["hidden"]) * 0.02, requires_grad=False)
        self.layers = torch.nn.ModuleList(Layer(s) for _ in range(s["layers"]))
        self.norm = torch.nn.Parameter(torch.ones(s["hidden"]), requires_grad=False)
        inverse = 1.0 / s["theta"] ** (torch.arange(0, s["head"], 2).float() / s["head"])
        angles = torch.outer(torch.arange(COLUMNS).float(), inverse)
        self.cos, self.sin = torch.cat((angles, angles), -1).cos(), torch.cat((angles, angles), -1).sin()

    def forward(self, ids):
        x = F.embedding(ids, self.embed)
        for layer in self.layers:
            x = layer(x, self.cos, self.sin)
        return F.linear(F.rms_norm(x, (self.s["hidden"],), self.norm, self.s["eps"]), self.embed)


def bench(name, shape, steps):
    torch.manual_seed(0)
    model = Llama(shape)
    params = [p for p in model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(params, lr=1e-3, weight_decay=0.0)
    generator = torch.Generator().manual_seed(1)
    times, cpu = [], []
    for _ in range(steps + 1):
        tokens = torch.randint(0, shape["vocab"], (ROWS, COLUMNS + 1), generator=generator)
        start, busy = time.perf_counter(), time.process_time()
        optimiser.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 1.0)
        optimiser.step()
        loss.item()
        times.append(time.perf_counter() - start)
        cpu.append(time.process_time() - busy)
    median, best = statistics.median(times[1:]), min(times[1:])
    print(json.dumps(dict(side="pytorch", model=name, parameters=sum(p.numel() for p in model.parameters()),
                          threads=torch.get_num_threads(), steps=steps, ms_median=round(median * 1e3, 2),
                          ms_best=round(best * 1e3, 2), cpu_ms_median=round(statistics.median(cpu[1:]) * 1e3, 2),
                          tokens_per_s=round(ROWS * COLUMNS / median),
                          best_tokens_per_s=round(ROWS * COLUMNS / best))), flush=True)


if __name__ == "__main__":
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    if len(sys.argv) > 2 and int(sys.argv[2]) > 0:
        torch.set_num_threads(int(sys.argv[2]))
    if len(sys.argv) > 3:
        bench("folder", shape_folder(sys.argv[3]), steps)
    bench("small", shape_small(), max(3, steps // 3))
