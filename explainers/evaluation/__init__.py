"""Evaluation: classifier responses, scoreboards, records, intervals, ranks and costs."""
