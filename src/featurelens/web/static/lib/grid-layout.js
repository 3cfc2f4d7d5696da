// Where the tiles of a grid stand: plain arithmetic, no elements.

const HIGHEST = 14_000_000;   // browsers draw no element higher than some 16 million pixels
const DIVIDER = 56;

/** The layout for a box `wide` pixels wide; `source.breakAt` starts a new row below a divider. */
export function layoutOf(wide, source, { wanted, text, gap }) {
  const columns = Math.max(2, Math.round((wide + gap) / (wanted + gap)));
  const width = (wide - gap * (columns - 1)) / columns;
  const height = Math.round(width * 0.86) + text;
  const step = height + gap;
  const hasBreak = source.breakAt >= 0 && source.breakAt < source.count && Boolean(source.divider);
  const before = hasBreak ? source.breakAt : source.count;
  const breakRow = Math.ceil(before / columns);
  const rows = breakRow + (hasBreak ? Math.ceil((source.count - before) / columns) : 0);
  const gapAtBreak = hasBreak ? DIVIDER : 0;
  const total = Math.max(0, rows * step - gap + gapAtBreak);
  const shown = Math.min(total, HIGHEST);
  const layout = { columns, width, height, step, rows, breakRow, hasBreak, gapAtBreak, shown, before, squeeze: total / (shown || 1) || 1 };
  layout.firstOf = (row) => (row <= breakRow || !hasBreak ? Math.min(row * columns, row < breakRow ? Infinity : before) : before + (row - breakRow) * columns);
  layout.rowOf = (index) => (index < before ? Math.floor(index / columns) : breakRow + Math.floor((index - before) / columns));
  layout.placeOf = (index) => ({ col: index < before ? index % columns : (index - before) % columns, y: topOf(layout, layout.rowOf(index)) });
  return layout;
}

/** The upper edge of a row. */
export function topOf(layout, row) {
  return row * layout.step + (layout.hasBreak && row >= layout.breakRow ? layout.gapAtBreak : 0);
}

/** The row at a height (may lie outside the grid). */
export function rowAt(layout, y) {
  const past = layout.hasBreak && y >= topOf(layout, layout.breakRow);
  return Math.floor((past ? y - layout.gapAtBreak : y) / layout.step);
}

export const clampRow = (layout, row) => Math.max(0, Math.min(layout.rows - 1, row));
