// Written by vendoring.py.
export { default } from "./dompurify-3.4.18-1a06b721ad.js";
