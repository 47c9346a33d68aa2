"""A submission that does not take back all that it saved."""

from algoperf_pt.optimizer_submission import OptimizerSubmission


class Forgetful(OptimizerSubmission):
    """Counts its steps, saves the count, and starts again from 0."""

    count = 0

    def step(self, workload, batch):
        self.count += 1
        return super().step(workload, batch)

    def state_dict(self):
        return {**super().state_dict(), "count": self.count}

    def load_state_dict(self, state_dict):
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "count"})
