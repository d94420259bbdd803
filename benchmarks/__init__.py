"""Published figures: one file a subject, each figure beside a reference measured in the same run."""
