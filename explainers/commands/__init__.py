"""The commands of `explainers`, one file each with `run`, and their parts.

Their options are in `options`, or beside `run` where that knows neither torch nor Lightning.
"""
