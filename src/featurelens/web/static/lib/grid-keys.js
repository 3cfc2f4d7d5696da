// Which item a key leads to.

/** The index after `key`, or null if the key moves nothing. Rows before and after a divider keep their columns. */
export function moveKey(key, at, layout, count, high) {
  if (!layout || !count) return null;
  const last = count - 1;
  const page = Math.max(1, Math.floor((high * 0.8) / layout.step));
  const rows = (many) => {
    const row = Math.max(0, Math.min(layout.rows - 1, layout.rowOf(at) + many));
    const end = row + 1 >= layout.rows ? last : layout.firstOf(row + 1) - 1;
    return Math.min(layout.firstOf(row) + layout.placeOf(at).col, end);
  };
  switch (key) {
    case "ArrowRight": return Math.min(last, at + 1);
    case "ArrowLeft": return Math.max(0, at - 1);
    case "ArrowDown": return rows(1);
    case "ArrowUp": return rows(-1);
    case "PageDown": return rows(page);
    case "PageUp": return rows(-page);
    case "Home": return 0;
    case "End": return last;
    default: return null;
  }
}
