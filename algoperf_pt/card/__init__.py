"""What was this trial?  One static HTML page in its folder, made from its files alone."""
