"""How little has to be run until a new submission's place among known ones is decided?"""
