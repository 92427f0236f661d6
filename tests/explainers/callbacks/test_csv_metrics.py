from contextlib import suppress

from lightning.pytorch.loggers import CSVLogger

from explainers.callbacks.csv_metrics import kept_csv_metrics


def logged(logger, *rows):
    for step, row in enumerate(rows):
        logger.log_metrics(row, step)
    logger.save()


def test_rows_of_a_logger_that_begins_anew_come_after_those_before(tmp_path):
    first = CSVLogger(tmp_path, version=0)
    logged(first, {"loss": 1.0}, {"loss": 0.5})
    with kept_csv_metrics([first]):
        logged(CSVLogger(tmp_path, version=0), {"drop": 3.0})
    text = (tmp_path / "lightning_logs/version_0/metrics.csv").read_text()
    assert text.splitlines() == ["loss,step,drop", "1.0,0,", "0.5,1,", ",0,3.0"]


def test_rows_are_kept_where_what_came_after_them_is_stopped(tmp_path):
    first = CSVLogger(tmp_path, version=0)
    logged(first, {"loss": 1.0})
    with suppress(KeyboardInterrupt), kept_csv_metrics([first]):
        logged(CSVLogger(tmp_path, version=0), {"drop": 3.0})
        raise KeyboardInterrupt
    text = (tmp_path / "lightning_logs/version_0/metrics.csv").read_text()
    assert text.splitlines() == ["loss,step,drop", "1.0,0,", ",0,3.0"]


def test_rows_of_a_logger_that_goes_on_are_left_as_they_are(tmp_path):
    logger = CSVLogger(tmp_path, version=0)
    logged(logger, {"loss": 1.0})
    with kept_csv_metrics([logger]):
        logged(logger, {"drop": 3.0})
    text = (tmp_path / "lightning_logs/version_0/metrics.csv").read_text()
    assert text.splitlines() == ["drop,loss,step", ",1.0,0", "3.0,,0"]


def test_no_file_and_other_loggers_make_no_difference(tmp_path):
    with kept_csv_metrics([CSVLogger(tmp_path, version=3)]):
        pass
    assert not list(tmp_path.rglob("*.csv"))
