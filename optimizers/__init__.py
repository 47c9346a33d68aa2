"""Update rules (torch.optim.Optimizer), one a file, and schedules.  Composed in conf/submission."""
