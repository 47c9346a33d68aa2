"""Does a trial come out the same again?  It is repeated from its own record and compared."""
