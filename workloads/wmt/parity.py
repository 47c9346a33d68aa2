"""wmt against its golden fixtures: model, loss, beam search, BLEU, vocabulary, packing."""

import json
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from algoperf_pt.agreement import ABSOLUTE, EACH, Array, Check, Tolerance
from algoperf_pt.parity import Answer, Parity, norm
from algoperf_pt.workload import Loss
from algoperf_pt.workload_data import Batch
from workloads.wmt.beam_search import Beams, beam_search
from workloads.wmt.bleu import bleu_score, bleu_sums
from workloads.wmt.data import pack, pad
from workloads.wmt.decoding import Decoder
from workloads.wmt.model import position_code
from workloads.wmt.packing import row_starts
from workloads.wmt.vocabulary import Vocabulary

_EMPTY = -1.0e6  # scores below it are of empty slots, whose order is left to rounding
_NAMES = (
    (r"^shared_embedding", "embedding"),
    (r"^(en|de)coder\.(en|de)coder", r"\1coder"),
    (r"multihead_attn", "cross_attn"),
    (r"\.linear(1|2|_glu)\.", r".feed_forward.linear\1."),
    (r"\.norm(\d)\.", r".residual\1.norm."),
)


class WmtParity(Parity):
    """Two cases of the model: `u`, a sentence a row, and `p`, packed rows."""

    left_out = ("pos_encoder.pe",)  # compared by pe_values
    unbounded = ("shared_embedding.weight", "*.bias")
    tolerances = {
        "case0/*_logits_real_probe": Tolerance(3e-7, ABSOLUTE),
        "case0/*_logits_real_head": Tolerance(3e-7, ABSOLUTE),
        "case0/*_logits_real_sum": Tolerance(1e-5, EACH),  # of both signs: they cancel
        "case0/*_logits_real_*": Tolerance(2e-6, EACH),
        "case0/*_shape": Tolerance(0.0),
        "case0/*_n_valid": Tolerance(0.0),
        # the reference's own are up to 5.3e-6 from float64, ours up to 1e-6
        "case0/*_per_example": Tolerance(1e-5, ABSOLUTE),
        "case0/*_grad_norms": Tolerance(2e-4, EACH),
        "case0/*evalstep_accuracy": Tolerance(0.0),
        "case0/*evalstep_denominator": Tolerance(0.0),
        "case0/lc_accuracy_*": Tolerance(0.0),
        "case0/pe_values": Tolerance(3e-5, ABSOLUTE),
        "case0/dec_*_scores": Tolerance(1e-5, EACH),
        "case0/dec_*": Tolerance(0.0),
        "case0/*": Tolerance(1e-6),  # summed losses
        "beam_toy/*_scores": Tolerance(1e-5, EACH),
        "bleu/*": Tolerance(1e-9, ABSOLUTE),
    }

    def place(self, name: str) -> tuple[str, slice | None]:
        for pattern, ours in _NAMES:
            name = re.sub(pattern, ours, name)
        return name, None

    def answers(self) -> dict[str, Answer]:
        part = "(summed|n_valid|per_example)"
        return {
            "case0/([up])_eval_logits_real_(head|shape|sum|abssum|std|probe)": self.logits_part,
            f"case0/([up])_loss_ls(0|01)_w_{part}": self.case_loss,
            "case0/([up])_evalstep_(loss|accuracy|denominator)": self.eval_sum,
            "case0/([up])_train_(loss|grad_norms)": lambda case, part: self.training[case][part],
            "case0/pe_values": lambda: position_code(256, 1024)[self.case("pe_rows")][:, ::16],
            f"case0/lc_ls(0|01)_(w|now)_{part}": self.small_loss,
            "case0/lc_accuracy_(sum|n)": self.small_accuracy,
            "case0/dec_(plain|amp|long)_(predicted|scores|all_beams|steps)": self.decoded,
            r"beam_toy/(t\d+)_(seqs|scores|calls)": self.toy,
            r"preprocess/(packed_\w+|eval_inputs|eval_targets)": lambda key: self.rows[key],
            r"eval_queue/b(\d)_(inputs|targets|weights)": self.queue,
        }

    def more_checks(self) -> Iterator[Check]:
        if (self.fixture.root / "bleu.json").is_file():
            yield from self._bleu_checks()
            yield from self._vocabulary_checks()

    # ---- the model

    def case(self, key: str) -> Tensor:
        """An array of case0; whole numbers as int64."""
        found = torch.from_numpy(np.asarray(self.fixture.case[key]))
        return found if found.is_floating_point() else found.long()

    def model_batch(self, case: str) -> Batch:
        """The inputs of case `u` or `p`."""
        start = f"{case}_in_"
        keys = [key for key in self.fixture.case if key.startswith(start)]
        return {key.removeprefix(start): self.case(key) for key in keys}

    @cached_property
    def logits(self) -> dict[str, Tensor]:
        """Logits of both cases in evaluation mode."""
        workload = self.fill().eval()
        with torch.no_grad():
            return {case: workload(self.model_batch(case)) for case in "up"}

    def logits_part(self, case: str, part: str) -> Any:
        """Of the logits at weighted positions [n, V]."""
        real = self.logits[case][self.model_batch(case)["weights"] > 0]
        values = real.double()
        parts = {
            "head": lambda: real.flatten()[:2000],
            "shape": lambda: np.array(real.shape),
            "sum": lambda: values.sum(),
            "abssum": lambda: values.abs().sum(),
            "std": lambda: values.std(correction=0),
            "probe": lambda: real[:, ::1997],
        }
        return parts[part]()

    def case_loss(self, case: str, smoothing: str, part: str) -> Any:
        """A field of the loss of a case."""
        loss = self.workload.loss(self.model_batch(case), self.logits[case], _rate(smoothing))
        return _float64(loss, part)

    def eval_sum(self, case: str, part: str) -> Tensor:
        """A sum of the evaluation step."""
        return self.sums[case][{"loss": "loss", "accuracy": "hits", "denominator": "tokens"}[part]]

    @cached_property
    def sums(self) -> dict[str, dict[str, Tensor]]:
        """What the evaluation step adds up over the tokens of both cases."""
        workload = self.fill().eval()
        with torch.no_grad():
            return {case: workload.token_sums(self.model_batch(case)) for case in "up"}

    @cached_property
    def training(self) -> dict[str, dict[str, Any]]:
        """Mean loss and gradient norms of both cases in training mode without dropout."""
        return {case: self._train(case) for case in "up"}

    def _train(self, case: str) -> dict[str, Any]:
        workload, batch = self.fill().train(), self.model_batch(case)
        workload.zero_grad()
        loss = workload.loss(batch, workload(batch, dropout_rate=0.0))
        mean = loss.summed / loss.n_valid
        torch.autograd.backward(mean)
        names = (self.place(entry["name"])[0] for entry in self.fixture.parameters)
        norms = np.array([norm(self.named[name].grad) for name in names])
        return {"loss": mean.detach().double(), "grad_norms": norms}

    def small_loss(self, smoothing: str, weighted: str, part: str) -> Any:
        """A field of the loss of the small stored logits."""
        batch: Batch = {"targets": self.case("lc_targets")}
        if weighted == "w":
            batch["weights"] = self.case("lc_weights")
        loss = self.workload.loss(batch, self.case("lc_logits"), _rate(smoothing))
        return _float64(loss, part)

    def small_accuracy(self, part: str) -> Tensor:
        """Hits, or tokens, of the small stored logits."""
        weights = self.case("lc_weights")
        hits = (self.case("lc_logits").argmax(-1) == self.case("lc_targets")) * weights
        return (hits if part == "sum" else weights).sum()

    # ---- beam search

    @cached_property
    def beams(self) -> dict[str, Beams]:
        """Results of the decoding runs."""
        runs = {key.split("_")[1] for key in self.fixture.case if key.startswith("dec_")} - {"in"}
        return {run: self._decode(run) for run in sorted(runs)}

    @torch.no_grad()
    def _decode(self, run: str) -> Beams:
        number = {
            name: self.case(f"dec_{run}_{name}").item()
            for name in ("embed_factor", "last_norm_factor", "linear2_factor", "eos_id")
        }
        model = self.fill().eval().model
        model.embedding.weight.mul_(number["embed_factor"])
        stack = model.decoder
        last = stack.norm if model.sizes.pre_norm else stack.layers[-1].residual3.norm
        last.weight.mul_(number["last_norm_factor"])
        for layer in stack.layers:
            layer.feed_forward.linear2.weight.mul_(number["linear2_factor"])
        inputs = self.case("dec_in_inputs")
        inputs = inputs[:1] if run == "long" else inputs
        length = int(self.case(f"dec_{run}_max_decode_len"))
        scorer = Decoder(model, inputs, 4)
        options = {"eos": int(number["eos_id"]), "length": length, "check_every": 1}
        return beam_search(scorer, len(inputs), inputs.device, **options)

    def decoded(self, run: str, part: str) -> Any:
        """Of a decoding run; empty slots as the fixture has them."""
        found, case = self.beams[run], self.fixture.case
        filled = case[f"dec_{run}_scores"] > _EMPTY
        return _beams_part(found, part, filled, case[f"dec_{run}_{part}"])

    @cached_property
    def toys(self) -> dict[str, Beams]:
        """Results of the beam search on a recurrent scorer."""
        toy = self.fixture.files["beam_toy"]
        names = [f"t{number}" for number in range(int(toy["n_cases"]))]
        return {name: _Recurrent(toy, name).search() for name in names}

    def toy(self, name: str, part: str) -> Any:
        """Of a toy case; empty slots as the fixture has them."""
        toy = self.fixture.files["beam_toy"]
        part_of_ours = {"seqs": "all_beams", "scores": "scores", "calls": "steps"}[part]
        filled = toy[f"{name}_scores"] > _EMPTY
        return _beams_part(self.toys[name], part_of_ours, filled, toy[f"{name}_{part}"])

    # ---- rows

    @cached_property
    def rows(self) -> dict[str, Array]:
        """Packed and evaluation rows of the token pairs of preprocess_examples.json."""
        given = self.fixture.files["preprocess"]
        length, batch = int(given["max_length"]), int(given["batch"])
        shape = given["packed_inputs"].shape
        every = self.fixture.json("preprocess_examples.json")
        pairs = [pair for pair in every if max(map(len, pair)) <= length]
        stream = [pair for _ in range(10) for pair in pairs]  # repeats for ever
        counts = np.array([[np.count_nonzero(side) for side in pair] for pair in stream])
        starts = row_starts(*counts.T, length, length)[: shape[0] * batch + 1]
        stream, counts = stream[: starts[-1]], counts[: starts[-1]]
        rows = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        cut = [[side[:n] for side, n in zip(pair, count)] for pair, count in zip(stream, counts)]
        packed = pack(_flat(cut), counts, rows, length)
        found = {f"packed_{name}": t.numpy().reshape(shape) for name, t in packed.items()}
        one = pad(_flat(pairs), np.array([[len(side) for side in pair] for pair in pairs]))
        wide = {name: _widen(one[name], length) for name in ("inputs", "targets")}
        return found | {f"eval_{name}": values for name, values in wide.items()}

    def queue(self, number: str, part: str) -> Array:
        """An evaluation batch of four rows of five sentence pairs; the second is filled up."""
        given = self.fixture.files["eval_queue"]
        vocabulary = Vocabulary(self.fixture.path("tiny_sp.model"))
        sides = [vocabulary.encode([str(s) for s in given[f"sentences_{x}"]]) for x in ("de", "en")]
        pairs = [list(pair) for pair in zip(*sides)]
        batch = pad(_flat(pairs), np.array([[len(side) for side in pair] for pair in pairs]))
        start = 4 * (int(number) % 2)
        chosen = _widen(batch[part], given[f"b{number}_{part}"].shape[1])[start : start + 4]
        return np.pad(chosen, ((0, 4 - len(chosen)), (0, 0)))

    # ---- text

    def _bleu_checks(self) -> Iterator[Check]:
        given = self.fixture.json("bleu.json")
        hyp, ref = ([pair[side] for pair in given["pairs"]] for side in ("hyp", "ref"))
        sums = bleu_sums(hyp, ref)
        wanted = np.array(given["corpus"]["score"])
        yield self.compare("bleu/corpus", bleu_score(sums), wanted)
        yield self.compare("bleu/sacrebleu", bleu_score(sums), np.array(given["sacrebleu_score"]))
        whole = [given["corpus"][key] for key in ("sys_len", "ref_len")]
        wanted = np.array([*whole, *given["corpus"]["counts"], *given["corpus"]["totals"]])
        yield self.compare("bleu/counts", np.array(list(sums.values())), wanted)
        singles = [bleu_score(bleu_sums([h], [r])) for h, r in zip(hyp, ref)]
        yield self.compare("bleu/single_pairs", singles, np.array(given["single_pair_scores"]))
        half = len(hyp) // 2
        parts = [bleu_sums(hyp[part], ref[part]) for part in (slice(half), slice(half, None))]
        added = {name: parts[0][name] + parts[1][name] for name in sums}
        yield self.compare("bleu/added", bleu_score(added), np.array(given["corpus"]["score"]))

    def _vocabulary_checks(self) -> Iterator[Check]:
        given = self.fixture.json("tokenizer.json")
        vocabulary = Vocabulary(self.fixture.path("tiny_sp.model"))
        texts = vocabulary.decode(given["decode_in"])
        ours = json.dumps([vocabulary.encode(given["sentences"]), texts])
        wanted = json.dumps([given["ids"], given["decode_out"]])
        yield self.compare("tokenizer/ids_and_texts", np.array(ours), np.array(wanted))
        yield self.compare("tokenizer/size", len(vocabulary), np.array(given["vocab_size"]))


class _Recurrent:
    """h' = tanh(h C + E[id]), logits A[id] + h' Bm: a scorer of the beam search."""

    def __init__(self, given: Any, name: str) -> None:
        tables = (torch.from_numpy(given[f"{name}_{key}"]) for key in ("A", "Bm", "C", "E", "h0"))
        self.a, self.b, self.c, self.e, state = tables
        self.beams = int(given[f"{name}_beam"])
        self.state = state[:, None].repeat(1, self.beams, 1)  # [B, K, 6]
        keys = {"alpha": "alpha", "eos": "eos", "length": "max_decode_len"}
        self.options = {ours: given[f"{name}_{key}"].item() for ours, key in keys.items()}

    def step(self, tokens: Tensor) -> Tensor:
        self.state = torch.tanh(self.state @ self.c + self.e[tokens])
        return self.a[tokens] + self.state @ self.b

    def reorder(self, parents: Tensor) -> None:
        index = parents[..., None].expand(-1, -1, self.state.shape[-1])
        self.state = self.state.gather(1, index)

    def search(self) -> Beams:
        options = {"beams": self.beams, "check_every": 1, **self.options}
        return beam_search(self, len(self.state), self.state.device, **options)


def _beams_part(found: Beams, part: str, filled: Array, expected: Array) -> Any:
    if part == "steps":
        return found.steps
    if part == "predicted":
        return found.best
    if part == "scores":
        return np.where(filled, found.scores.numpy(), expected)
    return np.where(filled[..., None], found.sequences.numpy(), expected)


def _flat(pairs: list[Any]) -> list[Array]:
    return [np.concatenate([np.array(pair[side], np.int64) for pair in pairs]) for side in (0, 1)]


def _widen(values: Tensor, width: int) -> Array:
    return np.pad(values.numpy(), ((0, 0), (0, width - values.shape[1])))


def _float64(loss: Loss, part: str) -> Tensor:
    value: Tensor = getattr(loss, part)
    return value if part == "per_example" else value.double()


def _rate(smoothing: str) -> float:
    return 0.1 if smoothing == "01" else 0.0


PARITY = WmtParity
