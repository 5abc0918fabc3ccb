"""What a provider's commands know: the requirements, onboarding, the checks of the doctor."""
