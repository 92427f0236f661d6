import json

from datamodules.pack import main


def test_the_audit_names_everything_that_is_wrong(tmp_path, write_tar, jpeg, bomb, capsys):
    good = jpeg(0)
    members = {
        "twice": [("a.jpg", good), ("a.cls", b"1"), ("a.jpg", good), ("a.cls", b"1")],
        "text": [("b.jpg", good), ("b.cls", b"cat"), ("c.jpg", good)],
        "damaged": [("d.jpg", b""), ("e.jpg", good[:200]), ("f.jpg", bomb)],
        "empty": [("g.txt", b"")],
        "again": [("b.jpg", good)],
    }
    for name, content in members.items():
        write_tar(tmp_path / f"{name}.tar", content)
    (tmp_path / "cut.tar").write_bytes((tmp_path / "twice.tar").read_bytes()[:1200])
    info = {"filenames": ["twice.tar", "gone.tar"], "shard_lengths": [3, 1], "num_samples": 5}
    (tmp_path / "_info.json").write_text(json.dumps({"splits": {"train": info}}))
    assert main(["--check", str(tmp_path), "--workers", "1"]) == 2
    printed = capsys.readouterr()
    for fault in (
        "cut.tar is not a readable tar file",
        "damaged.tar: sample 'd' has a jpg that is empty",
        "damaged.tar: sample 'e' has a jpg that cannot be decoded",
        "damaged.tar: sample 'f' has a jpg that is a decompression bomb",
        "empty.tar: sample 'g' has no image, only txt",
        "text.tar: sample 'b' has the class b'cat', which is not a number",
        "text.tar: sample 'c' has no class, and others have",
        "again.tar: sample 'b' is there 2 times",
        "text.tar: sample 'b' is there 2 times",
        "twice.tar: sample 'a' is there 2 times",
        "_info.json names gone.tar, which is not there",
        "twice.tar holds 2 samples, ",
        "num_samples of train is not the sum",
        "damaged.tar is not in",
    ):
        assert fault in printed.out, fault
    faults = len(printed.out.splitlines()) - 1
    assert printed.err == f"error: faults: {faults}\n"
