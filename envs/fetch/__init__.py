"""The `fetch` domain: Gymnasium-Robotics' arm, moved by vectors."""
