// The pictures of the query, by id, "upload" for one that was brought along, or "concept 12".
import { address, get } from "../lib/api.js";
import { concepts } from "../lib/concepts.js";

const known = new Map();

/** Remember what a grid has shown, so that a click needs no further question. */
export function remember(item) {
  known.set(item.id, { name: item.name, thumbnail: item.thumbnail, preview: `${address(`/images/${item.id}/thumbnail`)}?side=512` });
}

/** Remember the picture that was brought along. */
export function rememberUpload(token, name, thumbnail) {
  known.set("upload", { token, name, thumbnail, preview: thumbnail });
}

/** The pictures that a state needs; those that are not known yet are asked for. */
export async function picturesOf(state) {
  const missing = [...state.like, ...state.unlike].filter((id) => !known.has(id));
  await Promise.all(missing.map((id) => get(`/images/${id}`).then(remember)));
  if (state.concepts.length) {
    const said = await concepts().catch(() => ({ concepts: [] }));
    for (const one of said.concepts) known.set(`concept ${one.number}`, one);
  }
  if (state.upload && known.get("upload")?.token !== state.upload) {
    const thumbnail = `${address(`/uploads/${state.upload}/thumbnail`)}?side=512`;
    rememberUpload(state.upload, "Your picture", thumbnail);
  }
  return known;
}
