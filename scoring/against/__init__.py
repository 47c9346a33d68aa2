"""Where does a run stand among published ones?  Their times to target, with source and hardware."""
