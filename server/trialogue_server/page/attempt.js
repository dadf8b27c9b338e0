// What a view does while it is shown: failures are told, and none of them once it was left.

/** What the work came to, or null after its failure was told. `needs` has `failed(error)` and the view's `signal`. */
export async function attempt({ failed, signal }, work) {
  try {
    return await work();
  } catch (error) {
    if (!signal.aborted) failed(error);
    return null;
  }
}
