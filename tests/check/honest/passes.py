"""What most submissions of this folder do: the gradient of a batch's mean loss."""


def gradient(workload, batch, update_batch_norm=True):
    """Put it into `.grad`; returns the loss []."""
    for parameter in workload.parameters():
        parameter.grad = None
    logits = workload.forward(batch, update_batch_norm=update_batch_norm)
    loss = workload.mean_loss(workload.loss(batch, logits))
    workload.backward(loss)
    return loss
