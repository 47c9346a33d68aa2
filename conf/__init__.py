"""Hydra's configuration groups; a folder a group.  This file makes `pkg://conf` work after an
installation.
"""
