"""Do the files of a trial agree with one another?  The event log is a chain of hashes; everything
else in the folder is compared with it.
"""
