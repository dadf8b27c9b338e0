// Written by vendoring.py.
export { default } from "./highlight-11.12.0-1ed8fc5256.js";
