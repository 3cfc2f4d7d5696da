// Numbers and names as people read them.

const whole = new Intl.NumberFormat("en-GB");

export const count = (number) => whole.format(number);
export const counted = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

let many = "images";
/** What the gallery holds, as the service says it: "images", "sounds" or "files". */
export const callThem = (name) => { many = name ?? many; };
export const things = () => many;
export const thing = () => many.slice(0, -1);
/** So many of them: "1 image", "2 sounds". */
export const items = (number) => counted(number, thing());

export const similarity = (number) => number.toFixed(number > 0.9995 && number < 1 ? 4 : 3).replace("-", "−");
export const baseName = (name) => name.slice(name.lastIndexOf("/") + 1);

export const folderOf = (name) => name.slice(0, Math.max(0, name.lastIndexOf("/")));

/** A network's name without the folder it lies in: "local-dir:/a/b/net" is "net". */
export const shortName = (name) => (name.includes("/") ? baseName(name) : name);

/** Seconds as "12 s", "3 min", "2 h". */
export function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** An ISO time as the day and minute here. */
export function when(iso) {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? "" : date.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}
