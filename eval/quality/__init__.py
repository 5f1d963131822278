"""`suite=quality`: how good is a world model, before any memory or planner?

| module | question |
|---|---|
| `fidelity` | do pixels that were in view go to the right place? (co-visible PSNR) |
| `following` | does the model do what it is told, also in other words? (probe) |
| `open_loop` | does it stay sharp and obedient for ten imagined chunks? |
| `positions` | where are the objects it imagines, in cm? (position probe) |
| `objective` | does the goal classifier know a goal when it sees one? |
| `pictures` | what does that look like? |

`walks` records validation rooms in the simulator, `cases` turns them into
predictions to make, `figures` holds what comes out, `suite` runs it all.
"""
