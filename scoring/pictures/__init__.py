"""Pictures of scores and logs, as PNG and SVG.  Matplotlib is imported when one is drawn."""
