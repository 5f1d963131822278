"""`suite=recall`: what does a memory bring back, how late and at what cost?

| module | holds |
|---|---|
| `queries` | what is asked: which place, how long ago, from where |
| `paths` | walks that are longer than the tour |
| `summary` | scores by delay and kind of question, costs, and their curves |
| `pairs` | each memory against none on the same questions |
| `table` | the tables in the terminal |
| `suite` | runs it all |
"""
