import pytest
import torch

from datamodules import FolderDataModule


@pytest.fixture
def folder(tmp_path, jpeg):
    """Splits of two classes with three images each: class 0 is dark, class 1 is bright."""
    for split in ("train", "val", "test"):
        for label, name in enumerate(("dark", "light")):
            (tmp_path / split / name).mkdir(parents=True)
            for number in range(3):
                value = 150 * label + 20 * number
                (tmp_path / split / name / f"{number}.jpg").write_bytes(jpeg(value))
    return tmp_path


def module(folder, **options):
    splits = {split: str(folder / split) for split in ("train", "val", "test")}
    settings = {"size": 32, "resize": 36, "batch_size": 3, "num_workers": 0}
    data = FolderDataModule(**(splits | settings | options))
    data.setup("fit")
    return data


def test_classes_are_called_as_their_folders(folder, jpeg, tmp_path):
    assert module(folder).classes == ["dark", "light"]
    (tmp_path / "flat").mkdir()
    (tmp_path / "flat/a.jpg").write_bytes(jpeg(0))
    flat = dict.fromkeys(("train", "val", "test"), str(tmp_path / "flat"))
    assert module(folder, **flat).classes is None


@pytest.mark.parametrize("workers", [0, 2])
def test_every_image_is_evaluated_once_with_the_class_of_its_folder(folder, workers):
    batches = list(module(folder, num_workers=workers).val_dataloader())
    assert [key for batch in batches for key in batch["key"]] == [
        f"{name}_{number}" for name in ("dark", "light") for number in range(3)
    ]
    for label, batch in enumerate(batches):
        assert batch["image"].shape == (3, 3, 32, 32)
        assert batch["image"].dtype == torch.float32
        assert batch["label"].tolist() == [label] * 3
        means = batch["image"].mean(dim=(1, 2, 3)) * 255
        assert means.tolist() == pytest.approx([150 * label + 20 * i for i in range(3)], abs=2)


def test_an_epoch_shows_each_image_once_in_an_order_of_its_own_and_resumes(folder):
    loader = module(folder).train_dataloader()
    epochs = [[key for batch in loader for key in batch["key"]] for _ in range(3)]
    assert all(len(set(epoch)) == 6 for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    first = module(folder)
    read = iter(first.train_dataloader())
    assert next(read)["key"] == epochs[0][:3]
    second = module(folder)
    second.load_state_dict(first.state_dict())
    assert [key for batch in second.train_dataloader() for key in batch["key"]] == epochs[0][3:]


def test_unreadable_images_are_left_out_and_too_many_stop_the_run(folder, caplog):
    (folder / "val/dark/1.jpg").write_bytes(b"")
    data = module(folder, max_bad=1)
    assert sum(len(batch["image"]) for batch in data.val_dataloader()) == 5
    (message,) = [record.getMessage() for record in caplog.records]
    assert "1.jpg' has a jpg that is empty" in message
    with pytest.raises(ValueError, match="1 samples cannot be read, and max_bad is 0"):
        list(module(folder, max_bad=0).val_dataloader())


def test_splits_with_other_classes_are_refused(folder):
    (folder / "val/dark").rename(folder / "val/dim")
    with pytest.raises(ValueError, match=r"other folders of classes .'dark' is in one only"):
        module(folder)


def test_an_image_is_drafted_no_smaller_than_a_crop_needs(folder, jpeg):
    (folder / "train/dark/0.jpg").write_bytes(jpeg(9, size=(400, 320)))
    whole, drafted = (module(folder, draft=draft).training_files for draft in (False, True))
    assert (whole.at_least, drafted.at_least) == (None, 36)
    torch.testing.assert_close(whole[0]["image"], drafted[0]["image"], rtol=0, atol=0.01)


@pytest.mark.parametrize("scale", [[0.5], [0.6, 0.5], [0, 1]])
def test_impossible_scales_are_refused(folder, scale):
    with pytest.raises(ValueError, match="scale must be two shares in"):
        module(folder, scale=scale)
