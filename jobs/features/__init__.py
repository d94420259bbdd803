"""What needs order: histories, co-visitation and the training set, built by Spark."""
