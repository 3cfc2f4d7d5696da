// A colour for each group, far apart for the frequent ones, in either theme.

const FIRST = [158, 25, 262, 85, 330, 210, 48, 295, 120, 5, 235, 180];   // hues

/** [r, g, b] of the group with this number; 255: no group. */
export function colourOf(code, dark) {
  if (code === 255) return dark ? [125, 132, 140] : [150, 156, 163];
  const hue = code < FIRST.length ? FIRST[code] : (code * 137.508 + 20) % 360;
  const light = (dark ? 66 : 46) + (code >= FIRST.length ? ((code % 3) - 1) * 9 : 0);
  return fromHsl(hue, dark ? 0.62 : 0.68, light / 100);
}

export const css = ([r, g, b]) => `rgb(${r} ${g} ${b})`;

/** The colours of all points as bytes; `only` (a code or null) leaves the others faint. */
export function coloursOf(codes, dark, only, strong) {
  const palette = Array.from({ length: 256 }, (_, code) => colourOf(code, dark));
  const rgba = new Uint8Array(4 * codes.length);
  codes.forEach((code, i) => {
    const [r, g, b] = palette[code];
    rgba[4 * i] = r;
    rgba[4 * i + 1] = g;
    rgba[4 * i + 2] = b;
    rgba[4 * i + 3] = only === null || only === code ? strong : 22;
  });
  return rgba;
}

function fromHsl(hue, saturation, lightness) {
  const a = saturation * Math.min(lightness, 1 - lightness);
  return [0, 8, 4].map((n) => {
    const k = (n + hue / 30) % 12;
    return Math.round(255 * (lightness - a * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  });
}
