"""Other libraries' planners and costs as ours, and ours as theirs."""
