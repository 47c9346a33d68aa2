"""What the workloads on token sequences share."""
