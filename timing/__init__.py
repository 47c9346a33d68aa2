"""timing: the clock, the stop rules, the wall-clock-target callback and the audit of the clock."""
