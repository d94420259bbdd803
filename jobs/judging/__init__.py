"""What a challenger is judged by: bounds from one reviewed file, evidence, and a check for each."""
