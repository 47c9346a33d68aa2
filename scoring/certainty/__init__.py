"""How sure are we of a leaderboard?  What would it say with other studies, workloads, rules?"""
