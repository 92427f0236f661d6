// Ctrl-V anywhere on the page hands the copied image to the hidden upload button "pasted".
() => document.addEventListener("paste", (event) => {
  const image = [...event.clipboardData.files].find((file) => file.type.startsWith("image/"));
  const field = document.querySelector("input[data-testid='pasted-upload-button']");
  if (!image || !field) return;  // text goes where the cursor is
  event.preventDefault();
  event.stopPropagation();
  const files = new DataTransfer();
  files.items.add(image);
  field.files = files.files;
  field.dispatchEvent(new Event("change", {bubbles: true}));
}, true)
