"""The whole path of one paid job on this machine, with everything it needs made on the spot."""
