"""python -m algoperf_pt.watch EXPERIMENTS: all trials under a folder while they run, on a terminal
or in a browser (docs/watch.md).  Reads files, and writes nothing anywhere.
"""
