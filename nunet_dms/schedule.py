"""When a machine takes jobs: a week of hours, in local time."""
