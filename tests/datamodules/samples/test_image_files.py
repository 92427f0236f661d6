from datamodules.samples.image_files import opened


def test_a_draft_is_the_smallest_that_has_the_pixels(jpeg):
    content = jpeg(9, size=(400, 320))
    assert opened(content, "RGB").size == (400, 320)
    assert opened(content, "RGB", at_least=320).size == (400, 320)
    assert opened(content, "RGB", at_least=160).size == (200, 160)
    assert opened(content, "RGB", at_least=161).size == (400, 320)
    assert opened(content, "RGB", at_least=1).size == (50, 40)
