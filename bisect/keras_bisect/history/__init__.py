"""The git history of Keras: commits between two builds, a commit's tree, a nightly's commit.

repository the history of Keras in one repository; `commit`, `trees`, `nightlies`
layout     how the sources in the repository become those of its wheels
clone      a clone that is read where it lies; `mirror` is one of a URL in the cache
git        the one place that runs git
gitlog     a search of commits as a log for `git bisect replay`
"""
