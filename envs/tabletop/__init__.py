"""The `tabletop` domain: a robosuite Panda moves cubes and cups on a table."""
