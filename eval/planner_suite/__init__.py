"""`suite=planners`: which search does best with the same budget?

| module | holds |
|---|---|
| `budget` | what a decision may spend: denoiser calls or seconds |
| `budgeted_model` | the world model that refuses to be asked for more |
| `budgeted_planner` | the planner that is stopped there with its best plan so far |
| `sizes` | how large each search is made for a budget |
| `grid` | the rows: optimizer x world model x budget, checked before any work |
| `decisions` | what every decision cost, kept per row, so that a killed run continues |
| `summary` | the table of rows, in the terminal and as a file, and the curves |
| `suite` | runs it all |
"""
