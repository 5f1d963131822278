"""The `miniworld` domain: MiniWorld's own maze, renderer, textures and collisions."""
