"""The reliability campaign: harm done to real trials, data and logs, and what came of it."""
