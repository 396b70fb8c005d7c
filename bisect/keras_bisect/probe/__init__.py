"""Runs scripts under builds, each in a process of its own, bounded in time, memory and output.

Public: `Prober`, `Script`, `Task`, `Host`, `Worker`.
"""

from keras_bisect.probe.prober import Host, Prober, Script, Task
from keras_bisect.probe.worker import Worker

__all__ = ["Host", "Prober", "Script", "Task", "Worker"]
