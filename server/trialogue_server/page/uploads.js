// Sending a file, or an export that is to be taken in, with its progress. XMLHttpRequest, because fetch tells nothing of what has been sent.

import { ApiError } from "./api.js";

/** Resolves with the file as the server has it; `on(share)` is told how much was sent, from 0 to 1. Rejects with an ApiError. */
export async function sendFile(file, on, signal) {
  const form = new FormData();
  form.append("file", file, file.name || "pasted");
  return (await send("/api/upload", form, 201, on, signal)).files[0];
}

/** Resolves with the import that the file began; the file is the body, as it is. */
export function sendImport(file, on, signal) {
  const type = /\.zip$/i.test(file.name) ? "application/zip" : "application/json";
  return send("/api/import", file.slice(0, file.size, type), 202, on, signal);
}

function send(path, body, wanted, on, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.responseType = "json";
    request.upload.onprogress = (event) => event.lengthComputable && on(event.loaded / event.total);
    request.onload = () => {
      if (request.status === wanted) return resolve(request.response);
      const { code = "unknown", detail = `The server answered ${request.status}` } = request.response ?? {};
      reject(new ApiError(request.status, code, detail));
    };
    request.onerror = () => reject(new ApiError(0, "unreachable", "The server cannot be reached, or took no more."));
    request.onabort = () => reject(new ApiError(0, "aborted", "Taken back."));
    signal.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}

/** Where the content of a file is, or a smaller picture of it. */
export const contentOf = (id, variant) =>
  `/api/files/${encodeURIComponent(id)}${variant ? `?variant=${variant}` : ""}`;
