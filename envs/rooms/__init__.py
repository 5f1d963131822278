"""The `rooms` domain: a wheeled robot in a hub with four hidden chambers."""
