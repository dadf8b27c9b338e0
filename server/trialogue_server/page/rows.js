// The rows of the list, as a pure fold over its stream: newest activity first. No I/O and no DOM.
//
// Every event carries a whole row and says as of which event of its conversation it holds, so an older one is passed by.

/** As of which event a row holds; rows of a page that was asked for say less exactly. */
const seqOf = (row) => row.seq ?? row.version;

/** The newer of two states of one row; either may be missing. */
export const newest = (one, other) => (!other || (one && seqOf(one) > seqOf(other)) ? one : other);

/** Whether a row belongs into the list. */
export const isListed = (row) => !row.archived && !row.deleted_at;

/** Whether a row stands on a shelf: `all`, `pinned`, `archived`, or a folder's, `in:` and its name. */
export function standsOn(shelf, row) {
  if (row.deleted_at || shelf === "archived") return !row.deleted_at && row.archived;
  return !row.archived && (shelf === "all" || (shelf === "pinned" ? row.pinned : shelf === `in:${row.folder}`));
}

/** `rows` with `row` in its place, or without it if it is not to be listed. `partial`: there are more behind the last. */
export function placed(rows, row, partial, listed = isListed) {
  const others = rows.filter((other) => other.id !== row.id);
  if (!listed(row)) return others;
  const place = others.findIndex((other) => isBefore(row, other));
  if (place >= 0) return others.toSpliced(place, 0, row);
  // It would stand behind the last: on a page that is not here, unless it was here before.
  return partial && others.length === rows.length ? others : [...others, row];
}

/** `rows` with what is newer in `known`, a map by id, and without those that are not to be listed any more. */
export const refreshed = (rows, known, listed = isListed) =>
  rows.map((row) => newest(row, known.get(row.id))).filter(listed);

function isBefore(row, other) {
  const [mine, theirs] = [Date.parse(row.updated_at), Date.parse(other.updated_at)];
  return mine > theirs || (mine === theirs && row.updated_at + row.id > other.updated_at + other.id);
}
