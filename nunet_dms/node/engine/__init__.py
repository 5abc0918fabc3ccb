"""Container engines: what runs a job, behind one small interface."""
