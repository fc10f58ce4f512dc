"""From `freeze` to the first denial, for every kind of place that bundles are published to."""
