"""Weights averaged over steps are judged: `prepare_for_eval` puts them in, the next update takes
them out again.
"""

import torch
from algoperf import spec

DECAY = 0.8


class Average:
    """Exponential average of tensors, with the state that checkpoints ask for."""

    def __init__(self, params):
        self.values = [p.detach().clone() for p in params]
        self.trained = None

    def update(self, params):
        for value, p in zip(self.values, params):
            value.lerp_(p.detach(), 1.0 - DECAY)

    @torch.no_grad()
    def put(self, params):
        self.trained = [p.detach().clone() for p in params]
        for p, value in zip(params, self.values):
            p.copy_(value)

    @torch.no_grad()
    def take_out(self, params):
        if self.trained is not None:
            for p, value in zip(params, self.trained):
                p.copy_(value)
        self.trained = None

    def state_dict(self):
        return dict(self.__dict__)

    def load_state_dict(self, state_dict):
        self.__dict__.update(state_dict)


def get_batch_size(workload_name):
    raise ValueError(workload_name)


def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    optimizer = torch.optim.SGD(model_params.parameters(), lr=hyperparameters.learning_rate)
    return {"optimizer": optimizer, "average": Average(list(model_params.parameters()))}


def update_params(
    workload,
    current_param_container,
    current_params_types,
    model_state,
    hyperparameters,
    batch,
    loss_type,
    optimizer_state,
    eval_results,
    global_step,
    rng,
    train_state=None,
):
    parameters = list(current_param_container.parameters())
    optimizer_state["average"].take_out(parameters)
    optimizer_state["optimizer"].zero_grad()
    logits, model_state = workload.model_fn(
        current_param_container,
        batch,
        model_state,
        spec.ForwardPassMode.TRAIN,
        rng,
        update_batch_norm=True,
    )
    found = workload.loss_fn(batch["targets"], logits, batch.get("weights"))
    loss = found["summed"] / found["n_valid_examples"]
    loss.backward()
    optimizer_state["optimizer"].step()
    optimizer_state["average"].update(parameters)
    workload.metrics_logger.append_scalar_metrics({"loss": loss.item()}, global_step)
    return optimizer_state, current_param_container, model_state


def prepare_for_eval(
    workload,
    current_param_container,
    current_params_types,
    model_state,
    hyperparameters,
    loss_type,
    optimizer_state,
    eval_results,
    global_step,
    rng,
):
    optimizer_state["average"].put(list(current_param_container.parameters()))
    return optimizer_state, current_param_container, model_state


def data_selection(
    workload,
    input_queue,
    optimizer_state,
    current_param_container,
    model_state,
    hyperparameters,
    global_step,
    rng,
):
    return next(input_queue)
