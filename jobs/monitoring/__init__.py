"""The drift monitor's parts: windows, samples, validity, divergences, tastes, outcomes and the verdict."""
