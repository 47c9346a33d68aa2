"""What people read: tables in Markdown and LaTeX, and one page of HTML that needs nothing else."""
