"""What has to hold between two rooms: Great Expectations suites as plain functions, each beside the frame it looks at."""
