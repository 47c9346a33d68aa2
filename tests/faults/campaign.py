"""All faults, in the order of the table."""

from tests.faults import configs, disks, kills, logs, shards, stops, values

PARTS = (kills, stops, disks, values, configs, shards, logs)
FAULTS = [fault for part in PARTS for fault in part.FAULTS]
