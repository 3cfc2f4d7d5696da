// Bringing a picture along: dropped, pasted or chosen.
import { $ } from "../lib/dom.js";

/** `onfile(file)` for each way; `onrefuse(text)` where what came is no picture. */
export function listenForPictures({ onfile, onrefuse, onid }) {
  const shade = $("#dropping");
  const input = $("#file");
  let depth = 0;
  const carries = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
  addEventListener("dragenter", (event) => { if (carries(event)) { depth += 1; shade.hidden = false; event.preventDefault(); } });
  addEventListener("dragover", (event) => { if (carries(event)) event.preventDefault(); });
  addEventListener("dragleave", (event) => { if (carries(event)) { depth = Math.max(0, depth - 1); shade.hidden = depth === 0; } });
  addEventListener("drop", (event) => {
    depth = 0;
    shade.hidden = true;
    if (!carries(event)) return;
    event.preventDefault();
    take([...event.dataTransfer.files]);
  });
  addEventListener("paste", (event) => {
    if (event.target.matches?.("input, textarea")) return;
    const files = [...(event.clipboardData?.files || [])];
    if (files.length) { event.preventDefault(); take(files); }
  });
  input.addEventListener("change", () => { take([...input.files]); input.value = ""; });

  function take(files) {
    const picture = files.find((file) => file.type.startsWith("image/")) || files[0];
    if (picture) onfile(picture);
    else onrefuse("That was no file.");
  }
  return { choose: () => input.click(), onid };
}
