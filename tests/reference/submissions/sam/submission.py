"""Two passes a step: sharpness-aware minimisation around Adam (Foret et al., arXiv 2010.01412), as
an optimizer that holds another one.
"""

from typing import Any, Dict, Iterator, List, Optional, Tuple

import torch
import torch.distributed.nn as dist_nn
from algoperf import spec
from algoperf.pytorch_utils import pytorch_setup

USE_PYTORCH_DDP = pytorch_setup()[0]


class Sam(torch.optim.Optimizer):
    """Climbs by rho along the gradient, and lets `inside` step from where it was."""

    def __init__(self, params, lr, rho):
        super().__init__(params, {"lr": lr, "rho": rho})
        self.inside = torch.optim.Adam(self.param_groups, lr=lr)
        self.param_groups = self.inside.param_groups

    @torch.no_grad()
    def climb(self):
        every = [(p, group["rho"]) for group in self.param_groups for p in group["params"]]
        norm = torch.norm(torch.stack([p.grad.norm() for p, _ in every]))
        for p, rho in every:
            self.state[p]["before"] = p.data.clone()
            p.add_(p.grad * (rho / norm))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.data = self.state[p]["before"]
        self.inside.step()


def get_batch_size(workload_name):
    raise ValueError(workload_name)


def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    lr, rho = hyperparameters.learning_rate, hyperparameters.rho
    return {"optimizer": Sam(model_params.parameters(), lr, rho)}


def update_params(
    workload: spec.Workload,
    current_param_container: spec.ParameterContainer,
    current_params_types: spec.ParameterTypeTree,
    model_state: spec.ModelAuxiliaryState,
    hyperparameters: spec.Hyperparameters,
    batch: Dict[str, spec.Tensor],
    loss_type: spec.LossType,
    optimizer_state: spec.OptimizerState,
    eval_results: List[Tuple[int, float]],
    global_step: int,
    rng: spec.RandomState,
    train_state: Optional[Dict[str, Any]] = None,
) -> spec.UpdateReturn:
    optimizer = optimizer_state["optimizer"]

    def backward(update_batch_norm):
        optimizer.zero_grad()
        logits, new_model_state = workload.model_fn(
            params=current_param_container,
            augmented_and_preprocessed_input_batch=batch,
            model_state=model_state,
            mode=spec.ForwardPassMode.TRAIN,
            rng=rng,
            update_batch_norm=update_batch_norm,
            dropout_rate=0.0,
        )
        found = workload.loss_fn(
            label_batch=batch["targets"], logits_batch=logits, mask_batch=batch.get("weights")
        )
        summed, count = found["summed"], found["n_valid_examples"]
        if USE_PYTORCH_DDP:
            summed, count = dist_nn.all_reduce(summed), dist_nn.all_reduce(count)
        (summed / count).backward()
        return (summed / count).detach(), new_model_state

    loss, _ = backward(True)
    optimizer.climb()
    _, new_model_state = backward(False)
    optimizer.step()
    workload.metrics_logger.append_scalar_metrics({"loss": loss.item()}, global_step)
    return optimizer_state, current_param_container, new_model_state


def data_selection(
    workload: spec.Workload,
    input_queue: Iterator[Dict[str, spec.Tensor]],
    optimizer_state: spec.OptimizerState,
    current_param_container: spec.ParameterContainer,
    model_state: spec.ModelAuxiliaryState,
    hyperparameters: spec.Hyperparameters,
    global_step: int,
    rng: spec.RandomState,
) -> Dict[str, spec.Tensor]:
    return next(input_queue)
