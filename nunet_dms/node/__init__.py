"""The provider's worker: takes paid jobs from the Oracle, runs them, reports, is paid."""
