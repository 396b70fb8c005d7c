"""Runs scripts under builds, each in a process of its own, bounded in time, memory and output.

    prober       the toolkit's side: `Prober`, `Script`, `Task`; `worker` for many small scripts
    parallel     several at a time; `starting` and `handle` start a host and wait for it
    warm         what is imported once, before anything is forked
    host         watches over the scripts of one build (`launch`, `processes`, `streams`)
    child        is in the process of a script, with `watch`; `pristine` where it was forked
    environment  what of a machine can change what a probe does; `era`, `uv`: another time's
    predicate    one step of `git bisect run`; `daemon` and `client` keep it warm

Nothing is imported here: the process that is warmed up must not wait for what it never needs.
"""
