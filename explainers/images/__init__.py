"""Images and maps: reading, resizing, removal of pixels, colours and drawing."""
