"""The `arm` domain: the tabletop's Panda, moved by vectors."""
