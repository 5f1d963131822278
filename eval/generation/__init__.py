"""`suite=generate`: long videos with and without memory, judged and timed."""
