"""Whether a process of this machine that runs for long is alive and ready: it writes, probes read.

`record` is the side of the process, `probe` that of `siteferry-probe`, which is started every few
seconds and therefore imports next to nothing; `place` is what both know.
"""
