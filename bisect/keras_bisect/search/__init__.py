"""Where on a line of builds does a script change its mind?

bisection  bisection with verdicts of any kind                            (pure)
noise      the same for a script that fails at random; `posterior`, `candidates`  (pure)
reduce     the smallest set of files that flips a verdict                 (pure)
trial      one script, one failure: verdicts of builds, from one run or from several
line       the search on one line of builds
ends       both ends, found and verified
narrow     from releases to nightlies, and to files; `commits` to commits
session    a search that is written down, and can be gone on with
"""
