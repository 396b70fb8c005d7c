"""Bugs of Keras that were reported already, a TOML file each; `report/known.py` reads them.

| key | value |
|---|---|
| `title` | what goes wrong, in one line |
| `issues`, `pulls` | numbers in the Keras repository |
| `rules` | ids of the rules that it breaks |
| `signatures` | signatures of findings that are this bug; left out where none was ever found |
| `releases` | the first and the last release that have it; the last is left out while it lives |
| `begun_by`, `ended_by` | the commits, full hashes |
"""
