// Sending a file, with its progress. XMLHttpRequest, because fetch tells nothing of what has been sent.

import { ApiError } from "./api.js";

/** Resolves with the file as the server has it; `on(share)` is told how much was sent, from 0 to 1. Rejects with an ApiError. */
export function sendFile(file, on, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const form = new FormData();
    form.append("file", file, file.name || "pasted");
    request.open("POST", "/api/upload");
    request.responseType = "json";
    request.upload.onprogress = (event) => event.lengthComputable && on(event.loaded / event.total);
    request.onload = () => {
      if (request.status === 201) return resolve(request.response.files[0]);
      const { code = "unknown", detail = `The server answered ${request.status}` } = request.response ?? {};
      reject(new ApiError(request.status, code, detail));
    };
    request.onerror = () => reject(new ApiError(0, "unreachable", "The server cannot be reached, or took no more."));
    request.onabort = () => reject(new ApiError(0, "aborted", "Taken back."));
    signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

/** Where the content of a file is, or a smaller picture of it. */
export const contentOf = (id, variant) =>
  `/api/files/${encodeURIComponent(id)}${variant ? `?variant=${variant}` : ""}`;
